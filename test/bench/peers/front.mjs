import { createServer } from "node:http"

/**
 * The HTTP front of a peer that has none of its own, with Restate's paths: POST /Counter/<key>/increment, body n, answers
 * the total. Says `ready <url>` when it listens.
 */
export const serve = (increment) => {
  const server = createServer((request, response) => {
    const key = request.url.split("/")[2]
    let body = ""
    request.setEncoding("utf8").on("data", (text) => (body += text))
    request.on("end", () =>
      increment(key, Number(body)).then(
        (total) => response.end(String(total)),
        (error) => {
          response.statusCode = 500
          response.end(String(error?.message ?? error))
        }
      )
    )
  })
  listening(server)
}

/** Listens on any free port of 127.0.0.1, and says which. */
export const listening = (server) =>
  server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`))
