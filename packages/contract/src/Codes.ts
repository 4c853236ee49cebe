import * as Text from "./Text.ts"

type Table = { readonly [code: `TRP${number}`]: { readonly what: string; readonly todo: string } }

/** Those that the sender of a message may get: what runs in browsers carries these and no others. */
export const ofMessages = {
  TRP0201: { what: "the payload is not what the contract declares", todo: "send it as the contract's schema says" },
  TRP0202: { what: "no such command", todo: "compare the contract's version with the service's" },
  TRP0203: { what: "no valid envelope", todo: "send ce-id, ce-type and ce-source as the contract's packages do" },
  TRP0204: { what: "the key is not canonical", todo: "percent-encode it as Key.encode does, at most 200 bytes" },
  TRP0205: {
    what: "subject and envelope disagree",
    todo: "publish on the subject that the envelope's type and key name"
  },
  TRP0206: { what: "the same id came with another request", todo: "use a new id for a new request" },
  TRP0207: { what: "the message is too large", todo: "send less than the server's max_payload, or raise it" },
  TRP0208: { what: "the answer cannot be read", todo: "compare the contract's version with the service's" },
  TRP0209: {
    what: "the event is not what the contract declares",
    todo: "compare the contract's version with the emitter's"
  },
  TRP0210: {
    what: "no answer in time",
    todo: "ask again with the same id to learn what became of it, or with a longer timeout"
  },
  TRP0211: { what: "not allowed", todo: "grant the connection's user this subject" },
  TRP0212: {
    what: "the time was over before it was handled",
    todo: "send it with a new id if it is still wanted: under this one it will not be handled"
  },
  TRP0213: {
    what: "too much is under way",
    todo: "send it again with the same id, send less at once, or raise maxInFlight"
  },
  TRP0214: {
    what: "the consistency token cannot be read",
    todo: "give `after` the token that `askWithToken` answered"
  },
  TRP0215: {
    what: "the subscriber does not listen to what the token stands for",
    todo: "wait for a subscriber that listens to the actor that was asked"
  },
  TRP0216: { what: "the place cannot be read", todo: "give `after` the place of an event of these services" },
  TRP0217: {
    what: "somebody else reads under this durable name",
    todo: "run one subscription of a name at a time; the last one that began goes on"
  },
  TRP0218: {
    what: "the subscriber has not caught up in time",
    todo: "wait longer; see how far it lags, and whether the key is parked"
  },
  TRP0301: { what: "the handler failed", todo: "read the cause; mend the handler" },
  TRP0302: {
    what: "the handler took too long, or ended its host or its connection to PostgreSQL",
    todo: "let it do less; do outside I/O elsewhere; redrive the message once that is deployed"
  },
  TRP0303: {
    what: "the handler staged what cannot be sent",
    todo: "stage what the contract declares, below the server's max_payload"
  },
  TRP0304: {
    what: "the stored state cannot be read",
    todo: "declare the older shape with State.make(old).next(new, up)"
  },
  TRP0306: {
    what: "the database refused what the handler wants",
    todo: "read the cause; mend the handler or the table"
  },
  TRP0307: {
    what: "too much waits behind a message that fails",
    todo: "mend what fails, or discard it; then redrive this one"
  },
  TRP0308: {
    what: "too many keys fail",
    todo: "mend the handler or what it needs; the partition goes on by itself"
  },
  TRP0309: {
    what: "the edge that runs the handlers does not answer as it should",
    todo: "see that it runs and has the same secret; the partition goes on by itself"
  },
  TRP0310: {
    what: "the edge runs other code than this host",
    todo: "deploy the edge of this host's version, and give each version its own url"
  },
  TRP0311: { what: "too many wait for the subscriber", todo: "wait again in a moment; see why it lags" },
  TRP0312: {
    what: "the event loop stands still, so the process is ended",
    todo: "let the handlers compute less at a time; what one of them did twice is given up"
  },
  TRP0313: {
    what: "the thread that keeps the lease does not run",
    todo: "read the cause; it is started again when the host joins again"
  },
  TRP0317: {
    what: "something that a handler had started failed after its turn",
    todo: "await what the handler starts, and listen to errors: its turn was committed without it"
  },
  TRP0318: {
    what: "an exception that no handler caused was not caught, and the host ends",
    todo: "read the cause; report it if it is in Troupe"
  },
  TRP0320: {
    what: "timers and parked messages wait for what is handled again after the database was set back",
    todo: "see why the partition does not read on; they go on by themselves"
  },
  TRP0321: {
    what: "the stream does not remember that commands were too late",
    todo: "let the service's user delete messages of its command stream (troupe permissions --write); until then a database that is set back may have such commands handled after all"
  },
  TRP0401: { what: "cannot connect to NATS", todo: "check NATS_URL and that nats-server runs" },
  TRP0402: { what: "nats-server is too old", todo: "use nats-server 2.11 or newer" },
  TRP0403: {
    what: "the stream is not as this service needs it",
    todo: "mend or delete the stream; a partition count is fixed for good"
  },
  TRP0404: { what: "JetStream refused", todo: "read the cause; run troupe doctor" },
  TRP0405: { what: "JetStream is off", todo: "start nats-server with JetStream" },
  TRP0406: {
    what: "the stream is full, or about to be",
    todo: "wait until the service has caught up, or raise the stream's max_bytes"
  },
  TRP0407: {
    what: "messages were deleted before they were handled",
    todo: "send again what is missing; raise the stream's limits, or the speed of its readers"
  },
  TRP0408: {
    what: "the stream lost messages that it had acknowledged",
    todo: "nothing is missing that went through an outbox; use replicas, or sync_interval: always"
  },
  TRP0411: {
    what: "the broker lost messages that it had acknowledged",
    todo: "nothing: they are published again from the outbox; see why its store went back"
  },
  TRP0412: {
    what: "NATS refuses the user",
    todo: "renew its credentials with troupe permissions token; a file of NATS_CREDS is read anew at each try"
  },
  TRP0413: {
    what: "NATS does not allow it",
    todo: "declare it, or let it be; then write the policy anew with troupe permissions --write, and let the server reload it"
  },
  TRP0414: {
    what: "commands were purged before their history was over",
    todo: "raise TROUPE_STREAM_MAX_BYTES, or lower TROUPE_COMMANDS_KEPT"
  },
  TRP0415: {
    what: "events are deleted before their age",
    todo: "raise TROUPE_STREAM_MAX_BYTES, or lower TROUPE_EVENTS_KEPT"
  },
  TRP0416: {
    what: "events are about to be deleted before they are handled",
    todo: "raise the stream's max_bytes now; then the speed of the subscriber"
  },
  TRP0417: {
    what: "the stream's limit was not changed",
    todo: "choose a limit that fits what the stream holds, or wait until it holds less"
  },
  TRP0418: {
    what: "no such actor",
    todo: "compare the contract's version with the service's; once the service has the actor, send it again or redrive the dead letter"
  },
  TRP0420: {
    what: "the streams belong to another database",
    todo: "give this environment a NATS of its own, or the database that the streams name; to move on purpose: troupe identity move"
  },
  TRP0421: {
    what: "the stream could not be marked with its database",
    todo: "run troupe identity move as a NATS user who may change the stream, so that no other database can use it unnoticed"
  }
} as const satisfies Table

const ofOperators = {
  // 00xx as the set-up says them: it runs before any package is installed, and adds what it knows.
  TRP0001: { what: "no Node.js to be had for this platform", todo: "install Node.js 26 yourself and run it again" },
  TRP0002: { what: "could not fetch Node.js", todo: "check the network, or install Node.js 26" },
  TRP0003: { what: "could not set up pnpm", todo: "check the network, or install pnpm 12" },
  TRP0004: { what: "could not install the dependencies", todo: "read the cause; then run it again" },
  TRP0005: { what: "could not write", todo: "set TROUPE_CACHE to a folder that you may write" },
  TRP0006: { what: "gave up waiting for another start", todo: "end it, or remove the lock that it names" },
  TRP0007: { what: "could not start a program", todo: "remove node_modules and run it again" },
  TRP0008: { what: "nothing to run", todo: "use `npm start`" },
  TRP0009: { what: "the start failed", todo: "report it with this line" },
  TRP0020: {
    what: "no nats-server to be had",
    todo: "install nats-server 2.11 or newer, or set NATS_URL or NATS_SERVER"
  },
  TRP0021: { what: "nats-server is too old", todo: "use nats-server 2.11 or newer" },
  TRP0022: { what: "the port is taken", todo: "stop what listens there, or choose another port" },
  TRP0023: { what: "no PostgreSQL for this platform", todo: "set DATABASE_URL to a PostgreSQL 15 or newer" },
  TRP0024: { what: "PostgreSQL could not make its data folder", todo: "read its last lines" },
  TRP0025: { what: "the server did not start", todo: "read its last lines" },
  TRP0026: { what: "a folder cannot be written", todo: "choose one that you may write" },
  TRP0027: { what: "the data folder is in use", todo: "stop the server that uses it, or choose another folder" },
  TRP0101: { what: "a setting is missing or wrong", todo: "set it, by flag or by environment" },
  TRP0102: { what: "the file declares no service", todo: "let it `export default Service.make(...)`" },
  TRP0103: { what: "the file cannot be loaded", todo: "read the cause, mend it and run it again" },
  TRP0104: { what: "no services found", todo: "run it where services/*/src/main.ts lie, or name the files" },
  TRP0105: { what: "a service ended", todo: "read its last lines above" },
  TRP0106: { what: "a service did not become ready", todo: "read its lines above, or run troupe doctor" },
  TRP0107: { what: "the health port is taken", todo: "set TROUPE_HTTP_PORT to another port, or 0 for any" },
  TRP0108: {
    what: "a pattern is not known to take linear time",
    todo: "let no repetition match the same text in two ways, anchor it with ^ and $; or check the length and the pattern in a filter of your own"
  },
  TRP0219: {
    what: "the ids of requests could be computed by others",
    todo: "give all gateways in front of the same services one TROUPE_ID_SECRET, or idSecret, of 32 bytes or more"
  },
  TRP0322: {
    what: "the edge is called too much at once",
    todo: "run more instances of it, or keep states smaller; the partition goes on by itself"
  },
  TRP0323: {
    what: "refused messages were counted and not kept: there was no room for their dead letters",
    todo: "make room with troupe dead discard, and send again what is missing; the stream has the messages as long as it keeps them"
  },
  TRP0325: {
    what: "the process was ended while its host ran",
    todo: "do not call process.exit in handlers or beside them; SIGTERM ends a host once its work is done"
  },
  TRP0326: {
    what: "this host cannot work, and leaves its partitions to hosts that can",
    todo: "see that NATS runs and can be reached from here; it takes its share again by itself"
  },
  TRP0327: {
    what: "this host is not among the living",
    todo: "it joins again by itself; if that lasts, read the reason and see that PostgreSQL runs"
  },
  TRP0328: {
    what: "partitions do not get on",
    todo: "nothing if it passes within seconds: they are taken anew; else read the reason and run troupe doctor"
  },
  TRP0329: {
    what: "a message ran when its host or its connection to PostgreSQL ended, and runs now while nothing else does",
    todo: "nothing if it ends well; if that ends again it is given up as TRP0302, and its handler has to be mended"
  },
  TRP0330: {
    what: "the connection to PostgreSQL ended in a statement of the handler",
    todo: "see what that statement does; the message is given up when it does so again and again while it runs alone"
  },
  TRP0422: {
    what: "the stream keeps consumers that nobody uses",
    todo: "run troupe streams set as a NATS user who may change the stream: idle consumers are deleted from then on"
  },
  TRP0423: {
    what: "the stream has consumers that Troupe did not make",
    todo: "find out who made them, and delete them; see docs/permissions.md for who may make consumers"
  },
  TRP0424: {
    what: "the stream has room for few more consumers",
    todo: "see what makes so many of them: without room no new reader of the stream starts"
  },
  TRP0426: {
    what: "the certificate of NATS is not accepted",
    todo: "name the server in NATS_URL as its certificate does, and its authority by NODE_EXTRA_CA_CERTS=FILE"
  },
  TRP0427: {
    what: "nothing verifies that it is NATS that answers",
    todo: "give nats-server a certificate (tls), and write tls:// in NATS_URL"
  },
  TRP0429: {
    what: "JetStream does not answer",
    todo: "see that nats-server runs and the stream has a leader; what waits for it goes on by itself"
  },
  TRP0430: {
    what: "the stream is gone",
    todo: "nothing: it is created anew, and filled with what the outbox keeps; see who deleted it, or why its store is empty"
  },
  TRP0501: { what: "cannot connect to PostgreSQL", todo: "check DATABASE_URL and that PostgreSQL runs" },
  TRP0502: { what: "PostgreSQL is too old", todo: "use PostgreSQL 15 or newer" },
  TRP0503: { what: "the database is not migrated", todo: "run troupe migrate" },
  TRP0505: { what: "a migration failed", todo: "read the cause; nothing of it was kept" },
  TRP0506: {
    what: "no right to create databases",
    todo: "give the role CREATEDB and CREATEROLE, or make the databases yourself, owned by it"
  },
  TRP0507: { what: "the partition count differs", todo: "start it with the count that it was created with" },
  TRP0508: {
    what: "a migration was changed after it ran",
    todo: "restore it and write a new one; drop a development database"
  },
  TRP0509: {
    what: "the database was set back",
    todo: "commands of the history window are handled again; compare what left the service since then"
  },
  TRP0510: {
    what: "a migration got no lock",
    todo: "end the transactions that are open for long (pg_stat_activity), and run it again; nothing of it was kept"
  },
  TRP0512: {
    what: "the database belongs to another service",
    todo: "give each service a database of its own; to move on purpose: troupe identity move"
  },
  TRP0513: {
    what: "a connection to PostgreSQL is no session of its own",
    todo: "connect to the server itself, or to a pooler in session mode"
  },
  TRP0514: { what: "the encoding of the database is not UTF8", todo: "create the database with encoding UTF8" },
  TRP0515: {
    what: "a setting of the database or role does not do",
    todo: "take it back with alter role ... reset, alter database ... reset"
  },
  TRP0516: {
    what: "nobody runs a consumer any more",
    todo: "deploy it again if it is still wanted, or delete what it left with troupe consumers remove"
  },
  TRP0517: {
    what: "the clock is off",
    todo: "let NTP set it; the times of the events that this host emits come from it"
  },
  TRP0518: {
    what: "commits do not wait for the disk",
    todo: "take synchronous_commit = off back where answers count: a power cut loses what was answered last"
  },
  TRP0519: {
    what: "dead letters fill their room, or have filled it",
    todo: "see them with troupe dead list, and redrive or discard them; or raise TROUPE_DEAD_LETTERS or TROUPE_DEAD_LETTERS_MAX_BYTES. Without room, refused messages are only counted, and failed ones are tried again until there is some"
  },
  TRP0520: {
    what: "the certificate of PostgreSQL is not accepted",
    todo: "name the server in DATABASE_URL as its certificate does, and its authority by sslrootcert"
  },
  TRP0521: {
    what: "the TLS settings of DATABASE_URL cannot be used",
    todo: "mend sslmode, sslrootcert, sslcert or sslkey"
  },
  TRP0522: {
    what: "nothing verifies that it is PostgreSQL that answers",
    todo: "use sslmode=verify-full, with sslrootcert=FILE where the authority is your own"
  },
  TRP0523: {
    what: "PostgreSQL does not run a statement of Troupe's own",
    todo: "give back the right, the table or the disk space that is missing; the partition goes on by itself"
  },
  TRP0601: { what: "no such dead letter", todo: "list them with troupe dead list" },
  TRP0602: { what: "the command line cannot be read", todo: "see it with --help" },
  TRP0603: { what: "something unexpected happened", todo: "report it with this line" },
  TRP0604: { what: "the dead letter stays", todo: "read the cause; discard it if nobody needs it" },
  TRP0605: {
    what: "nobody has done it yet",
    todo: "see that the service runs; what was wished is kept, and done by the next owner of the partition"
  },
  TRP0606: {
    what: "the committed policy is not what the code declares",
    todo: "write it with troupe permissions --write, and review what changed"
  },
  TRP0607: {
    what: "there is no key to sign with",
    todo: "make the keys with troupe permissions --format jwt --signed, or name their folder with --keys"
  },
  TRP0608: { what: "there are no such streams", todo: "see what there is with troupe streams list" },
  TRP0609: {
    what: "the identity stays as it is",
    todo: "stop all hosts that use the database or the streams, then say --yes"
  },
  TRP0610: {
    what: "there is no contract to read",
    todo: "name a module that exports one contract or service, or what troupe contract export printed"
  },
  TRP0611: { what: "no such consumer", todo: "list them with troupe consumers list" },
  TRP0612: {
    what: "the consumer stays",
    todo: "end the hosts that run it, and say --yes"
  },
  TRP0613: {
    what: "the file belongs to somebody else",
    todo: "move it away, or delete it if an older version of Troupe wrote it, and run it again"
  },
  TRP0614: {
    what: "the path is a symbolic link",
    todo: "name the place itself, or put a folder or file there instead of the link"
  },
  TRP0617: {
    what: "there are too few servers for the replicas",
    todo: "run a cluster of at least as many nats-servers as replicas, each with room for the stream, or ask for fewer replicas"
  },
  TRP0701: { what: "there is nothing at this path", todo: "see the contract for its services, actors and commands" },
  TRP0702: { what: "the method is not allowed here", todo: "use one that the header Allow names" },
  TRP0703: { what: "the body is of no type that is taken", todo: "send application/json, in UTF-8 and not compressed" },
  TRP0704: { what: "the body cannot be read", todo: "send one JSON value, in UTF-8" },
  TRP0705: { what: "the body is too large", todo: "send less" },
  TRP0706: { what: "not authenticated", todo: "send a token that is valid: Authorization: Bearer ..." },
  TRP0707: { what: "the token does not permit this", todo: "ask for a token with the scope that is named" },
  TRP0708: { what: "too many requests", todo: "wait as long as the header Retry-After says" },
  TRP0709: { what: "the gateway is busy", todo: "send it again a little later, with the same Idempotency-Key" },
  TRP0710: { what: "a header or parameter is not what it must be", todo: "send it as the documentation says" },
  TRP0711: {
    what: "the gateway knows nobody's keys",
    todo: "give it `auth`, or TROUPE_JWKS_URL or TROUPE_JWT_SECRET; or say TROUPE_AUTH=none, on loopback only"
  },
  TRP0712: {
    what: "the keys of tokens cannot be fetched",
    todo: "see that the address answers a JWK set within 5 seconds, of at most 256 KiB; requests get 503 until then"
  },
  TRP0717: {
    what: "only programs of this machine may ask",
    todo: "ask from this machine, by http://127.0.0.1 or http://localhost, and not from a page of another site"
  }
} as const satisfies Table

/**
 * Every error that Troupe reports has one of these codes. Texts read
 * `TRP0412 what happened · to what · why · what to do`.
 *
 * 00xx set-up and servers, 01xx configuration and start, 02xx messages, 03xx turns, 04xx streams, 05xx database, 06xx commands of the CLI,
 * 07xx the gateway.
 */
// A call that bundlers may drop, as they may not drop a spread.
export const codes = /* @__PURE__ */ Object.assign({}, ofMessages, ofOperators)

/** One of the codes. */
export type Code = keyof typeof codes

/** `TRP0412 what happened · to what · why · what to do` */
export const text = (code: Code, to: string, why: string): string => line(code, codes[code], to, why)

/** The same of a code that came with a message: without what newer code would say of one that is not known here. */
export const textOfMessage = (code: string, to: string, why: string): string => {
  const known = code in ofMessages ? ofMessages[code as keyof typeof ofMessages] : undefined
  return known === undefined ? Text.line(`${code} · ${to} · ${why}`) : line(code, known, to, why)
}

const line = (code: string, { todo, what }: Table[keyof Table], to: string, why: string): string =>
  `${code} ${what} · ${Text.line(to)} · ${Text.lines(why)} · ${todo}`
