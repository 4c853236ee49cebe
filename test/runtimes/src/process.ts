// The program that Node, Deno and Bun run: checks the client over one transport, and prints what became of it, as JSON.
import { connect as overWebSocket } from "@troupe/client"
import { check, type Place } from "./checks.ts"

const { transport, ...place } = JSON.parse(process.argv[2] ?? "") as Place & { readonly transport: "tcp" | "ws" }
const connect = transport === "ws" ? overWebSocket : (await import("@troupe/client/node")).connect
console.log(JSON.stringify(await check(connect, place)))
