// What workerd runs: the client within one request, in a Durable Object, and kept from one request to another.
import { connect, type Connection } from "@troupe/client"
import { check, type Place } from "./checks.ts"
import { Counting } from "./contract.ts"

/** What a request asks for. */
interface Asked {
  readonly place: Place
  readonly key: string
}

interface Environment {
  readonly KEEPER: {
    idFromName(name: string): unknown
    get(id: unknown): { fetch(request: Request): Promise<Response> }
  }
}

type Events = AsyncIterator<{ readonly type: string }>

const open = ({ servers, user, pass }: Place): Promise<Connection> =>
  connect({ servers, user, pass, inboxPrefix: `_INBOX.${user}` })

/** What each way to use a connection comes to: its answer, or its error's message. */
const used = async (client: Connection, key: string): Promise<ReadonlyArray<unknown>> => {
  const counter = Counting.Counter.at(key)
  const said = (doing: Promise<unknown>) => doing.catch((error: unknown) => String((error as Error).message))
  return [
    await said(client.ask(counter.add({ n: 1 }))),
    await said(client.send(counter.add({ n: 1 }))),
    await said(client.ask(counter.add({ n: 1 }))),
    await said(hear(client, key))
  ]
}

const begin = (client: Connection): Events => client.subscribe(Counting.Counter.events.added)[Symbol.asyncIterator]()

/** The type of its next event: nobody knows when a subscription begins, so something happens until it has. */
const next = async (events: Events, client: Connection, key: string): Promise<unknown> => {
  const heard = events.next().then(({ value }) => value?.type as unknown)
  const happen = () => client.ask(Counting.Counter.at(key).add({ n: 0 })).catch(() => 0)
  while (typeof (await Promise.race([heard, happen()])) === "number");
  return heard
}

const hear = async (client: Connection, key: string): Promise<unknown> => {
  const events = begin(client)
  const heard = await next(events, client, key)
  await events.return?.()
  return heard
}

/** Keeps its connection from one request to the next, which a Durable Object may. */
export class Keeper {
  private client: Promise<Connection> | undefined

  async fetch(request: Request): Promise<Response> {
    const { key, place } = (await request.json()) as Asked
    return Response.json(await used(await (this.client ??= open(place)), key))
  }
}

let kept: Connection | undefined
let events: Events | undefined
let finish: (() => void) | undefined

const routes: { readonly [path: string]: (asked: Asked, env: Environment) => Promise<unknown> } = {
  "/check": ({ place }) => check(connect, place),

  "/object": async (asked, { KEEPER }) => {
    const object = KEEPER.get(KEEPER.idFromName("one"))
    return (await object.fetch(new Request("http://object", { method: "POST", body: JSON.stringify(asked) }))).json()
  },

  /** Keeps its connection. */
  "/keep": async ({ place }) => void (kept = await open(place)),

  /** Keeps a subscription that has heard something. */
  "/hear": async ({ key, place }) => {
    const client = await open(place)
    events = begin(client)
    return next(events, client, key)
  },
  "/next": () => events!.next().then(({ value }) => value?.type as unknown, String),

  /** Keeps its connection, is under way until `/finish`, and uses it then. */
  "/linger": async ({ key, place }) => {
    const client = await open(place)
    kept = client
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    return used(client, key)
  },
  "/lingers": async () => finish !== undefined,
  "/finish": async () => finish?.(),

  /** Uses the connection of another request. */
  "/use": ({ key }) => used(kept!, key),

  "/close": async () => kept?.[Symbol.asyncDispose]().then(undefined, String)
}

export default {
  async fetch(request: Request, env: Environment): Promise<Response> {
    const route = routes[new URL(request.url).pathname]
    if (route === undefined) return new Response("there is no such thing", { status: 404 })
    return Response.json((await route((await request.json()) as Asked, env)) ?? null)
  }
}
