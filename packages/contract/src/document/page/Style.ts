import { Html } from "./Html.ts"

const style = `
:root { color-scheme: light dark; --back: #fff; --soft: #f4f5f7; --line: #d5d9e0; --text: #1b1f27; --dim: #565e6c; --link: #0b57c2; --post: #7a3e00; --hear: #0a6147 }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --soft: #1e232b; --line: #39414d; --text: #e7eaf0; --dim: #a5aebc; --link: #8ab8ff; --post: #ffb869; --hear: #6fdcb4 } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere }
a { color: var(--link); text-underline-offset: .15em }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px }
.skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: .5rem; background: var(--back); padding: .5rem; z-index: 1 }
.page { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1, h2, h3, h4, h5 { line-height: 1.25; margin: 0 0 .5rem }
h1 { font-size: 1.9rem } h2 { font-size: 1.5rem; border-top: 1px solid var(--line); padding-top: 2rem; margin-top: 2.5rem }
h3 { font-size: 1.25rem; margin-top: 2rem } h4 { font-size: 1.1rem } h5 { font-size: .95rem; margin-top: 1.1rem }
h4 code { font-size: 1.1em } article h3 { margin-top: 0 }
p, ul, dl { margin: .4rem 0 } ul { padding-left: 1.2rem }
small, .dim { color: var(--dim); font-size: .9rem; font-weight: 400 }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .88rem }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; margin: .5rem 0; white-space: pre-wrap }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.1rem; margin: 1rem 0 }
.kind { font-weight: 700; color: var(--post) } .hear { color: var(--hear) }
dt { margin-top: .35rem } dd { margin: 0 0 0 1.2rem; color: var(--dim); font-size: .93rem }
summary { cursor: pointer; margin-top: .6rem }
nav ul { list-style: none; padding-left: .8rem; margin: 0 } nav > ul { padding: 0 } nav li { padding: .1rem 0 }
nav h2 { font-size: 1rem; border: 0; margin: 1rem 0 .3rem; padding: 0 }
@media (min-width: 60rem) {
  .columns { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 2.5rem }
  main > h2:first-child { border: 0; margin-top: 0; padding-top: .3rem }
  nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding: .5rem }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth } }
`

/** The whole style of the page. */
export const element = new Html(`<style>${style}</style>`)

/** By which a content security policy allows it (CSP level 3, section 2.3.1): SHA-256 of what stands in the element. */
export const hash = "sha256-texe4ASoWSOfa7j9+fAhrAZpRqkrRijORRqp5/Ymipg="
