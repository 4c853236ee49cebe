import type { AnyContract } from "../Contract.ts"
import * as Catalog from "./Catalog.ts"
import { textOf } from "./Component.ts"
import { isRecord, type JsonSchema } from "./JsonSchema.ts"
import type { Options } from "./OpenApi.ts"
import * as Curl from "./page/Curl.ts"
import { html, type Html } from "./page/Html.ts"
import * as Style from "./page/Style.ts"
import { limits, type } from "./page/Type.ts"
import { errorType } from "./Problem.ts"

/**
 * With what header it is served: it runs no code and loads nothing. `connect-src` is for its reader, who tries the example of
 * an `EventSource` in the console of the page.
 */
export const contentSecurityPolicy = `default-src 'none'; connect-src 'self'; style-src '${Style.hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/**
 * What these contracts take and say over HTTP, for a person: one HTML document that loads nothing. It links to
 * `openapi.json` and `asyncapi.json` beside it. `url` must be absolute, since examples are called from a shell; without it
 * they take it from the variable `GATEWAY`. Texts of contracts are shown as they are, never as markup. Throws as
 * `OpenApi.make` does, and a `TypeError` for a URL that is none.
 */
export const make = (contracts: ReadonlyArray<AnyContract>, { auth = "jwt", url }: Options = {}): string => {
  const catalog = Catalog.make(contracts)
  const gateway: Curl.Gateway = { url: url && new URL(url).href.replace(/\/+$/, ""), token: auth === "jwt" }
  const shared = Object.entries(catalog.shared).sort(([a], [b]) => (a < b ? -1 : 1))
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${Catalog.title(catalog)}</title>
        ${Style.element}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <div class="page">
          <header>
            <h1>${Catalog.title(catalog)}</h1>
            <p>What these services take and say, over HTTP${gateway.url && html` at <code>${gateway.url}</code>`}.</p>
            <p>For tools: <a href="openapi.json">OpenAPI</a> (HTTP), <a href="asyncapi.json">AsyncAPI</a> (NATS).</p>
          </header>
          <div class="columns">
            ${navigation(catalog)}
            <main id="main">
              ${begin(gateway)} ${catalog.services.map((service) => serviceOf(gateway, service))}
              ${
                shared.length > 0 &&
                html`<h2 id="shapes">Shapes</h2>
                  ${shared.map(([name, schema]) => shape(name, schema))}`
              }
            </main>
          </div>
        </div>
      </body>
    </html>`
  return page.text
}

const navigation = ({ services, shared }: Catalog.Catalog): Html =>
  html`<nav aria-label="Contents">
    <ul>
      <li><a href="#begin">How to call</a></li>
      ${Object.keys(shared).length > 0 && html`<li><a href="#shapes">Shapes</a></li>`}
    </ul>
    ${services.map(
      ({ actors, name }) =>
        html`<h2><a href="#${name}">${name}</a></h2>
          <ul>
            ${actors.map(
              ({ commands, events, id, name }) =>
                html`<li>
                  <a href="#${id}">${name}</a>
                  <ul>
                    ${commands.map(({ id, name }) => html`<li><a href="#cmd.${id}">${name}</a></li>`)}
                    ${events.map(
                      ({ id, name }) => html`<li><a href="#evt.${id}">${name}</a> <small>event</small></li>`
                    )}
                  </ul>
                </li>`
            )}
          </ul>`
    )}
  </nav>`

const begin = ({ token, url }: Curl.Gateway): Html =>
  html`<h2 id="begin">How to call</h2>
    <p>
      A command goes to one actor, which its key names. An actor handles its commands one at a time, and each exactly
      once: a request that is sent again under the same <code>Idempotency-Key</code> gets the same answer.
    </p>
    ${url === undefined && html`<p>The examples take the address from the variable <code>GATEWAY</code>.</p>`}
    <dl>
      ${
        token &&
        html`<dt><code>Authorization: Bearer …</code></dt>
          <dd>A JWT whose scopes permit it. The examples take it from the variable <code>TOKEN</code>.</dd>`
      }
      <dt><code>Idempotency-Key: …</code></dt>
      <dd>Names the request for good: at most 255 characters. Choose a new one for a new request.</dd>
      <dt><code>Prefer: wait=10</code></dt>
      <dd>How many seconds to wait for the answer.</dd>
      <dt><code>Prefer: respond-async</code></dt>
      <dd>Do not wait: 202 once it is stored. The same request again, under the same key, gets the answer.</dd>
    </dl>
    <p>
      What goes wrong is answered as <code>application/problem+json</code>. Status 422 is an error that the command
      declares: its <code>type</code> says which, its <code>error</code> has the details. After 429, 503 and 504 the
      same request may be sent again.
    </p>`

const serviceOf = (gateway: Curl.Gateway, service: Catalog.Service): Html => {
  const { actors, name, version } = service
  return html`<section aria-labelledby="${name}">
    <h2 id="${name}">${name} <small>version ${version}</small></h2>
    ${actors.length === 0 && html`<p>It says nothing yet.</p>`}
    ${actors.map(
      (actor) =>
        html`<section aria-labelledby="${actor.id}">
          <h3 id="${actor.id}">${actor.name}</h3>
          <p>Its key: <code>${type(actor.key.schema)}</code> <span class="dim">${notes(actor.key.schema)}</span></p>
          ${actor.commands.map((command) => commandOf(gateway, name, actor, command))}
          ${actor.events.map((event) => eventOf(gateway, name, actor, event))}
        </section>`
    )}
    ${hearing(gateway, service)}
  </section>`
}

const commandOf = (gateway: Curl.Gateway, service: string, actor: Catalog.Actor, command: Catalog.Command): Html => {
  const { errors, id, name, payload, reply } = command
  return html`<article aria-labelledby="cmd.${id}">
    <h4 id="cmd.${id}"><span class="kind">command</span> <code>${name}</code></h4>
    <p><code>POST /v1/${service}/${actor.name}/{key}/${name}</code></p>
    <h5>Payload</h5>
    ${fields(payload.schema)}
    <h5>Reply</h5>
    ${reply === undefined ? html`<p class="dim">None: status 204.</p>` : value(reply.schema)}
    ${
      errors.length > 0 &&
      html`<h5>Errors</h5>
        <dl>
          ${errors.map(
            ({ schema, tag }) =>
              html`<dt><code>${type(schema)}</code></dt>
                <dd>${tag !== undefined && html`<code>${errorType(id, tag)}</code>`} ${notes(schema)}</dd>`
          )}
        </dl>`
    }
    <h5>Try it</h5>
    ${example(Curl.post(gateway, service, actor, command))}
    ${
      payload.example === undefined &&
      html`<p class="dim">
        No example was found that the contract takes: write the payload to <code>payload.json</code>.
      </p>`
    }
  </article>`
}

const eventOf = (gateway: Curl.Gateway, service: string, actor: Catalog.Actor, event: Catalog.Event): Html => {
  const { id, name, versions } = event
  const older = versions.slice(0, -1).map(({ schema }, i) => ({ schema, version: i + 1 }))
  return html`<article aria-labelledby="evt.${id}">
    <h4 id="evt.${id}">
      <span class="kind hear">event</span> <code>${name}</code> <small>version ${versions.length}</small>
    </h4>
    ${fields(versions.at(-1)?.schema ?? {})}
    ${older.toReversed().map(
      ({ schema, version }) =>
        html`<details>
          <summary>Version ${version}, said before: it is heard as version ${versions.length}</summary>
          ${fields(schema)}
        </details>`
    )}
    <h5>Hear it</h5>
    ${example(Curl.listen(gateway, service, `actor=${actor.name}&event=${name}&from=start`))}
  </article>`
}

/** In JavaScript: an `EventSource` of a browser sends no token. */
const hearing = ({ token, url }: Curl.Gateway, { actors, name }: Catalog.Service): Html | false => {
  const event = actors.flatMap(({ events }) => events)[0]?.id
  if (event === undefined) return false
  const at = JSON.stringify(`${url ?? ""}/v1/${name}/events`)
  const code = token
    ? [
        `const { body } = await fetch(${at}, { headers: { authorization: \`Bearer \${token}\` } })`,
        `for await (const text of body.pipeThrough(new TextDecoderStream())) console.log(text)`
      ]
    : [
        `const events = new EventSource(${at})`,
        `events.addEventListener("${event}", ({ data }) => console.log(JSON.parse(data)))`
      ]
  return html`<h3>All events of ${name}, in JavaScript</h3>
    ${example(code.join("\n"))}
    <p>
      ${token && html`An <code>EventSource</code> sends no token, so this reads the stream by itself.`} Each event is a
      CloudEvent in JSON. After a break send the <code>id</code> of the last one as <code>Last-Event-ID</code>: nothing
      is missed or repeated.
    </p>`
}

const example = (text: string): Html => html`<pre><code>${text}</code></pre>`

/** A schema at its name: its fields, or what it is. */
const shape = (name: string, schema: JsonSchema): Html =>
  html`<article aria-labelledby="shape.${name}">
    <h3 id="shape.${name}"><code>${textOf(name)}</code></h3>
    ${value(schema)}
  </article>`

const value = (schema: JsonSchema): Html =>
  isRecord(schema["properties"])
    ? fields(schema)
    : html`<p><code>${type(schema)}</code> <span class="dim">${notes(schema)}</span></p>`

const fields = (schema: JsonSchema): Html => {
  const needed = Array.isArray(schema["required"]) ? (schema["required"] as ReadonlyArray<string>) : []
  const all = Object.entries(isRecord(schema["properties"]) ? schema["properties"] : {})
  const { description } = schema
  return html`${typeof description === "string" && html`<p>${description}</p>`}
  ${
    all.length === 0
      ? html`<p class="dim">Nothing.</p>`
      : html`<dl>
          ${all.map(
            ([name, field]) =>
              html`<dt>
                  <code><b>${name}</b>: ${type(field as JsonSchema)}</code>
                  ${!needed.includes(name) && html`<small>optional</small>`}
                </dt>
                ${noted(field as JsonSchema)}`
          )}
        </dl>`
  }`
}

const noted = (schema: JsonSchema): Html | false => {
  const text = notes(schema)
  return text !== "" && html`<dd>${text}</dd>`
}

const notes = (schema: JsonSchema): string => {
  const { description, title } = schema
  return [title, description, ...limits(schema)].filter((text) => typeof text === "string").join("; ")
}
