import type { Table } from "./Codes.ts"

/** Codes that only operators see: a client in a browser does not carry their texts. */
export const ofOperators = {
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
