import type { User } from "./guarded.ts"

export type Program = Exclude<User, "OPERATOR">

/** What may be published, and what not: for each row the user, the subject, and the same of what is refused. */
export const publishes: ReadonlyArray<
  readonly [row: string, user: Program, allowed: string | undefined, refused: ReadonlyArray<string>]
> = [
  [
    "own events",
    "orders",
    "evt.orders.Order.placed.k",
    [
      "evt.orders.Order.unheardOf.k",
      "evt.orders.Other.placed.k",
      "evt.orders.Order.placed.k.k",
      "evt.orders.3.Order.placed.k"
    ]
  ],
  [
    "declared commands",
    "orders",
    "cmd.payments.Payment.authorize.k",
    ["cmd.payments.Payment.refund.k", "cmd.shipping.Shipment.dispatch.k"]
  ],
  ["commands to itself", "orders", "cmd.orders.Order.cancel.k", ["cmd.orders.Order.unheardOf.k"]],
  ["commands of a subscriber", "shipping", "cmd.orders.Order.settle.k", ["cmd.payments.Payment.authorize.k"]],
  [
    "commands of a caller",
    "customers",
    "cmd.orders.Order.place.k",
    ["cmd.orders.Order.cancel.k", "evt.orders.Order.placed.k", "$JS.API.STREAM.INFO.EVT_orders"]
  ],
  [
    "reading events by one filter",
    "shipping",
    "$JS.API.CONSUMER.CREATE.EVT_payments.c.evt.payments.3.Payment.>",
    [
      "$JS.API.CONSUMER.CREATE.EVT_payments.c",
      "$JS.API.CONSUMER.CREATE.EVT_payments",
      "$JS.API.CONSUMER.CREATE.EVT_payments.c.evt.payments.3.Other.>",
      "$JS.API.CONSUMER.DURABLE.CREATE.EVT_payments.c"
    ]
  ],
  [
    "reading its own commands",
    "orders",
    "$JS.API.CONSUMER.CREATE.CMD_orders.c.cmd.orders.3.Order.>",
    ["$JS.API.CONSUMER.CREATE.CMD_payments.c.cmd.payments.3.Payment.>", "$JS.API.CONSUMER.MSG.NEXT.CMD_payments.c"]
  ],
  [
    "reading what it does not listen to",
    "payments",
    undefined,
    [
      "$JS.API.CONSUMER.CREATE.EVT_orders.c.evt.orders.3.Order.>",
      "$JS.API.CONSUMER.MSG.NEXT.EVT_orders.c",
      "$JS.API.STREAM.MSG.GET.EVT_orders"
    ]
  ],
  [
    "its consumers",
    "orders",
    "$JS.API.CONSUMER.MSG.NEXT.EVT_payments.c",
    ["$JS.API.CONSUMER.PAUSE.EVT_payments.c", "$JS.API.CONSUMER.LIST.EVT_payments", "$JS.ACK.EVT_payments.c.1.1.1.1.1"]
  ],
  [
    "looking at the consumers of its streams",
    "orders",
    "$JS.API.CONSUMER.LIST.EVT_orders",
    [
      "$JS.API.CONSUMER.LIST.CMD_payments",
      "$JS.API.CONSUMER.NAMES.EVT_orders",
      "$JS.API.CONSUMER.DURABLE.CREATE.EVT_orders.c"
    ]
  ],
  [
    "hearing a service",
    "gateway",
    "$JS.API.CONSUMER.CREATE.EVT_orders.c",
    [
      "$JS.API.CONSUMER.CREATE.EVT_orders",
      "$JS.API.CONSUMER.DURABLE.CREATE.EVT_orders.c",
      "$JS.API.CONSUMER.LIST.EVT_orders",
      "$JS.API.CONSUMER.NAMES.EVT_orders",
      "$JS.API.CONSUMER.PAUSE.EVT_orders.c",
      "$JS.API.STREAM.UPDATE.EVT_orders",
      "$JS.API.CONSUMER.CREATE.CMD_orders.c",
      "$JS.ACK.EVT_orders.c.1.1.1.1.1"
    ]
  ],
  [
    "keeping its streams",
    "orders",
    "$JS.API.STREAM.PURGE.CMD_orders",
    [
      "$JS.API.STREAM.PURGE.EVT_orders",
      "$JS.API.STREAM.DELETE.CMD_orders",
      "$JS.API.STREAM.UPDATE.CMD_orders",
      "$JS.API.STREAM.PURGE.CMD_payments",
      "$JS.API.STREAM.CREATE.EVT_payments",
      "$JS.API.STREAM.CREATE.OTHER"
    ]
  ],
  [
    "deleting a command that was too late",
    "orders",
    "$JS.API.STREAM.MSG.DELETE.CMD_orders",
    ["$JS.API.STREAM.MSG.DELETE.EVT_orders", "$JS.API.STREAM.MSG.DELETE.CMD_payments"]
  ],
  [
    "replies to whoever may ask it",
    "orders",
    "_INBOX.customers.a.b",
    [
      "_INBOX.customers",
      "_INBOX.payments.a.b",
      "_INBOX.orders.a.b",
      "_INBOX.nobody.a.b",
      "svc.orders.ask",
      "svc.orders.caught.overview.3"
    ]
  ],
  [
    "no replies to callers of others",
    "payments",
    "_INBOX.gateway.a.b",
    ["_INBOX.customers.a.b", "_INBOX.orders.a.b", "_INBOX.shipping.a.b"]
  ],
  ["waiting for a subscriber", "customers", undefined, ["svc.orders.caught.overview.3", "svc.orders.ask"]],
  ["replies of a caller", "customers", undefined, ["_INBOX.orders.a.b"]],
  [
    "KV, which nobody needs",
    "orders",
    undefined,
    [
      "$KV.b.k",
      "$JS.API.DIRECT.GET.KV_b.$KV.b.k",
      "$JS.API.CONSUMER.CREATE.KV_b.c.$KV.b.>",
      "$JS.FC.KV_b.x",
      "$JS.API.DIRECT.GET.EVT_orders"
    ]
  ],
  ["the server", "orders", undefined, ["$SYS.REQ.SERVER.PING", "$SRV.PING", "anything"]]
]
export const subscribes: ReadonlyArray<
  readonly [user: Program, allowed: ReadonlyArray<string>, refused: ReadonlyArray<string>]
> = [
  [
    "orders",
    ["_INBOX.orders.>", "_INBOX.orders.a.*", "svc.orders.caught.overview.3"],
    [
      "_INBOX.>",
      "_INBOX.customers.>",
      "_INBOX.*.a",
      "evt.orders.>",
      "evt.>",
      "cmd.orders.>",
      "svc.orders.>",
      "svc.orders.caught.>",
      "svc.orders.caught.other.3",
      "svc.shipping.caught.fulfilment.3",
      "$JS.>",
      ">"
    ]
  ],
  [
    "customers",
    ["_INBOX.customers.a.*"],
    ["_INBOX.orders.>", "_INBOX.>", "evt.orders.>", "svc.orders.caught.overview.*", ">"]
  ]
]
