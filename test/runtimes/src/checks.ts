import { ClientError, type connect as connectTo, type Connection, type Reason } from "@troupe/client"
import { Absent, Counting, Forbidden, Full, Silent, TooFew } from "./contract.ts"

/** Where a runtime finds what it calls. It may import nothing of Node: browsers and Workers run this too. */
export interface Place {
  readonly servers: string
  /** The same server, through a proxy that can be told to forward nothing. */
  readonly proxied: string
  /** Who restarts servers and stops proxies: see `World`. */
  readonly control: string
  readonly user: string
  readonly pass: string
}

/** What became of one check. */
export interface Checked {
  readonly name: string
  /** Why it failed. */
  readonly failed?: string
}

/** Everything that a client promises, checked over the transport of `connect`. One after another: each has a timeout of its own. */
export const check = async (connect: typeof connectTo, place: Place): Promise<ReadonlyArray<Checked>> => {
  const user = { user: place.user, pass: place.pass, inboxPrefix: `_INBOX.${place.user}` }
  const done: Array<Checked> = []
  for (const [name, run] of Object.entries(all)) {
    done.push(await settled(name, () => run({ connect, place, user, key: crypto.randomUUID() })))
  }
  return done
}

/** Runs one check; one that hangs fails after `patience` ms. */
export const settled = async (name: string, run: () => Promise<void>, patience = 20_000): Promise<Checked> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const hangs = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), patience)
  })
  try {
    await Promise.race([run(), hangs])
    return { name }
  } catch (error) {
    return { name, failed: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

/** Fails unless both are the same JSON. */
export const same = (actual: unknown, expected: unknown): void => {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== wanted) throw new Error(`${is} instead of ${wanted}`)
}

/** Why it failed on the way; fails itself when it did not. */
export const reasonOf = async (promise: Promise<unknown>): Promise<Reason> => {
  const error = await promise.then(
    (value) => new Error(`it did not fail: ${JSON.stringify(value)}`),
    (error: unknown) => error
  )
  if (error instanceof ClientError) return error.reason
  throw error
}

interface Given {
  readonly connect: typeof connectTo
  readonly place: Place
  readonly user: { readonly user: string; readonly pass: string; readonly inboxPrefix: string }
  readonly key: string
}

const all: { readonly [name: string]: (given: Given) => Promise<void> } = {
  "a command is answered": (given) =>
    using(given, async (client, counter) => same(await client.ask(counter.add({ n: 3 })), 3)),

  "a typed error arrives as the contract's class": (given) =>
    using(given, async (client, counter) => {
      const answer = await client.tryAsk(counter.add({ n: -1 }))
      if (answer.ok || !(answer.error instanceof TooFew)) throw new Error(JSON.stringify(answer))
      same(answer.error.left, 0)
    }),

  "a command without a reply is answered with nothing": (given) =>
    using(given, async (client, counter) => same(await client.ask(counter.clear()), undefined)),

  "any character may be in a key": (given) =>
    using(given, async (client) => {
      const counter = Counting.Counter.at(`${given.key.slice(0, 8)} .*>%/é日本\u{1f600}`)
      same([await client.ask(counter.add({ n: 1 })), await client.ask(counter.add({ n: 1 }))], [1, 2])
    }),

  "what is sent is handled, in order": (given) =>
    using(given, async (client, counter) => {
      for (const n of [1, 2, 3]) await client.send(counter.add({ n }))
      same(await client.ask(counter.add({ n: 0 })), 6)
    }),

  "the same id twice has the same reply, and is handled once": (given) =>
    using(given, async (client, counter) => {
      const id = crypto.randomUUID()
      const twice = [await client.ask(counter.add({ n: 5 }), { id }), await client.ask(counter.add({ n: 5 }), { id })]
      same([...twice, await client.ask(counter.add({ n: 0 }))], [5, 5, 5])
    }),

  "what nobody answers ends in time": (given) =>
    using(given, async (client) => {
      const reason = await reasonOf(client.ask(Silent.Pit.at("1").fall({ text: "" }), { timeout: "300 millis" }))
      same(reason._tag, "TimedOut")
    }),

  "a full stream says so": (given) =>
    using(given, async (client) => {
      const reason = await reasonOf(client.send(Full.Pit.at("1").fall({ text: "x".repeat(2_000) })))
      same([reason._tag, reason._tag === "StreamFull" && reason.stream], ["StreamFull", "CMD_full"])
    }),

  "a service that is not there says so": (given) =>
    using(given, async (client) => {
      const reason = await reasonOf(client.send(Absent.Pit.at("1").fall({ text: "" }), { timeout: "1 second" }))
      same(
        [reason._tag, reason._tag === "NotConnected" && reason.detail.startsWith("no stream takes ")],
        ["NotConnected", true]
      )
    }),

  "what the user may not send is refused, with its subject": (given) =>
    using(given, async (client) => {
      const reason = await reasonOf(client.ask(Forbidden.Pit.at("1").fall({ text: "" })))
      same([reason._tag, reason._tag === "NotAllowed" && reason.subject], ["NotAllowed", "cmd.forbidden.Pit.fall.1"])
    }),

  "a wrong password is refused at once": async ({ connect, place, user }) => {
    const started = Date.now()
    const reason = await reasonOf(connect({ servers: place.servers, ...user, pass: "wrong", timeout: "15 seconds" }))
    same(
      [reason._tag, reason._tag === "NotAuthorized" && /authorization violation/i.test(reason.detail)],
      ["NotAuthorized", true]
    )
    if (Date.now() - started > 5_000) throw new Error(`only after ${Date.now() - started} ms`)
  },

  "a closed connection says so": (given) =>
    using(given, async (client, counter) => {
      await client[Symbol.asyncDispose]()
      const reason = await reasonOf(client.ask(counter.add({ n: 1 })))
      same(
        [reason._tag, reason._tag === "NotConnected" && reason.detail],
        ["NotConnected", "the connection was closed"]
      )
    }),

  "events of its own commands are heard, in order": (given) =>
    using(given, async (client, counter) => {
      await using heard = await hear(client, given.key)
      for (const n of [1, 2, 3]) await client.ask(counter.add({ n }))
      same([await heard.next(), await heard.next(), await heard.next()], [1, 3, 6])
    }),

  "a server that is killed and comes back is found again, and no event is missed": (given) =>
    using(given, async (client, counter) => {
      await using heard = await hear(client, given.key)
      await told(given.place, "restart")
      same(await client.ask(counter.add({ n: 4 }), { timeout: "15 seconds" }), 4)
      same(await heard.next(), 4)
    }),

  "a connection on which nothing moves any more fails in time, and its id is handled once": async (given) => {
    const { key, place } = given
    const client = await given.connect({ servers: place.proxied, ...given.user })
    try {
      const counter = Counting.Counter.at(key)
      same(await client.ask(counter.add({ n: 1 })), 1)
      await told(place, "stop")
      const id = crypto.randomUUID()
      same((await reasonOf(client.ask(counter.add({ n: 1 }), { id, timeout: "500 millis" })))._tag, "TimedOut")
      const late = await reasonOf(given.connect({ servers: place.proxied, ...given.user, timeout: "500 millis" }))
      if (late._tag !== "TimedOut" && late._tag !== "NotConnected") throw new Error(late._tag)
      await told(place, "go")
      same([await client.ask(counter.add({ n: 1 }), { id }), await client.ask(counter.add({ n: 0 }))], [2, 2])
    } finally {
      await told(place, "go")
      await client[Symbol.asyncDispose]()
    }
  }
}

const using = async (
  { connect, key, place, user }: Given,
  run: (client: Connection, counter: ReturnType<typeof Counting.Counter.at>) => Promise<void>
): Promise<void> => {
  const client = await connect({ servers: place.servers, ...user })
  try {
    await run(client, Counting.Counter.at(key))
  } finally {
    await client[Symbol.asyncDispose]()
  }
}

/** What is left after each event of a counter from now on, once the subscription is there: it hears an event of a zero. */
const hear = async (client: Connection, key: string) => {
  const events = client.subscribe(Counting.Counter.events.added)[Symbol.asyncIterator]()
  const next = async (): Promise<number> => {
    while (true) {
      const { done, value } = await events.next()
      if (done) throw new Error("the events have ended")
      if (value.key === key) return value.payload.left
    }
  }
  const first = next().then(() => true)
  const zero = () => client.ask(Counting.Counter.at(key).add({ n: 0 })).then(() => false)
  while (!(await Promise.race([first, zero()])));
  // The zeros that were asked for meanwhile.
  const passed = async (): Promise<number> => {
    const left = await next()
    return left === 0 ? passed() : left
  }
  return { next: passed, [Symbol.asyncDispose]: async () => void (await events.return?.()) }
}

/** Tells the world to do something, and waits until it is done. */
export const told = async ({ control }: Pick<Place, "control">, what: "restart" | "stop" | "go"): Promise<void> => {
  const response = await fetch(`${control}/${what}`, { method: "POST" })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`${what}: ${response.status}`)
}
