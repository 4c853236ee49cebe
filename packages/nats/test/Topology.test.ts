import type { StreamConfig } from "@nats-io/jetstream"
import { assert, describe, it } from "@effect/vitest"
import { Subject } from "@troupe/contract"
import * as Topology from "../src/Topology.ts"

const config = (kind: Subject.Kind, more: Partial<StreamConfig> = {}): StreamConfig =>
  ({
    name: Subject.stream(kind, "orders"),
    subjects: [Subject.accepted(kind, "orders")],
    subject_transform: { src: Subject.accepted(kind, "orders"), dest: Subject.transformed(kind, "orders", 16) },
    storage: "file",
    retention: "limits",
    discard: kind === "cmd" ? "new" : "old",
    max_age: kind === "cmd" ? 0 : 1_000,
    ...more
  }) as StreamConfig

const differences = (kind: Subject.Kind, more?: Partial<StreamConfig>, partitions = 16) =>
  Topology.differences(config(kind, more), kind, "orders", partitions)

describe("Topology.differences", () => {
  it("finds nothing wrong with what ensure makes", () => {
    assert.deepStrictEqual(differences("cmd"), [])
    assert.deepStrictEqual(differences("evt"), [])
  })

  it("says what is there and what is wanted", () => {
    assert.deepStrictEqual(differences("evt", { subjects: ["a", "b"] }), [`subjects is "a,b", not "evt.orders.*.*.*"`])
    assert.deepStrictEqual(differences("cmd", { max_msgs_per_subject: 1 }), ["max_msgs_per_subject is 1, not -1"])
    assert.deepStrictEqual(differences("evt", { no_ack: true }), ["no_ack is true, not false"])
    assert.deepStrictEqual(differences("evt", { storage: "memory" as never }), [`storage is "memory", not "file"`])
    assert.deepStrictEqual(differences("evt", { retention: "workqueue" as never }), [
      `retention is "workqueue", not "limits"`
    ])
    assert.lengthOf(differences("evt", {}, 32), 1)
    assert.match(differences("evt", {}, 32)[0] ?? "", /partition\(16,3\).*not.*partition\(32,3\)/)
  })

  it("wants commands to be kept until they are handled, and refused when there is no room", () => {
    assert.deepStrictEqual(differences("cmd", { discard: "old" as never, max_age: 5 }), [
      `discard is "old", not "new"`,
      "max_age is 5, not 0"
    ])
  })

  it("says of a mirror that it is one", () => {
    const { subject_transform: _, subjects: __, ...mirror } = config("evt", { mirror: { name: "EVT_other" } })
    const wrong = Topology.differences(mirror as StreamConfig, "evt", "orders", 16)
    assert.deepStrictEqual(wrong.slice(0, 2), ["it is a mirror of EVT_other", `subjects is "", not "evt.orders.*.*.*"`])
  })
})

describe("Topology.partitionsOf", () => {
  it("reads the count from the transform", () => {
    assert.strictEqual(Topology.partitionsOf(config("evt")), 16)
    assert.strictEqual(Topology.partitionsOf(config("cmd")), 16)
  })

  it("says nothing of a stream that is none of ours", () => {
    const { subject_transform: _, ...plain } = config("evt")
    assert.isUndefined(Topology.partitionsOf(plain as StreamConfig))
    assert.isUndefined(Topology.partitionsOf(config("evt", { subject_transform: { src: ">", dest: "a.>" } })))
    const other = { src: ">", dest: "evt.{{partition(16,1)}}.x" }
    assert.isUndefined(Topology.partitionsOf(config("evt", { subject_transform: other })))
  })
})
