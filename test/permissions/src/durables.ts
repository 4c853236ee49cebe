import { assert } from "@effect/vitest"
import type { NatsConnection } from "@nats-io/nats-core"

/** What the server answers to whoever makes a consumer. */
interface Answer {
  readonly config?: { readonly durable_name?: string; readonly inactive_threshold?: number }
  readonly error?: { readonly err_code: number; readonly description: string }
}

const minutes = 60_000_000_000

/**
 * Asks for durable consumers in each way that a right to read a stream leaves open: no right on subjects refuses a name in the
 * body. The stream has the server delete those that nobody uses. `prefix`: where the program reaches the JetStream of the stream.
 */
export const areForgotten = async (
  nc: NatsConnection,
  { filter, prefix, stream }: { readonly filter: string; readonly prefix: string; readonly stream: string }
): Promise<void> => {
  const make = async (subject: string, config: object): Promise<Answer> => {
    const body = JSON.stringify({ stream_name: stream, config, action: "create" })
    return (await nc.request(`${prefix}.CONSUMER.CREATE.${stream}.${subject}`, body, { timeout: 5_000 })).json()
  }
  const kept = { name: "kept", durable_name: "kept", ack_policy: "explicit", filter_subject: filter }
  const { config, error } = await make(`kept.${filter}`, kept)
  assert.isUndefined(error?.description)
  assert.deepInclude(config, { durable_name: "kept", inactive_threshold: 5 * minutes })
  await nc.request(`${prefix}.CONSUMER.DELETE.${stream}.kept`)

  const refused = async (subject: string, config: object, code: number) =>
    assert.strictEqual((await make(subject, { ...kept, ...config })).error?.err_code, code, JSON.stringify(config))
  await refused(`kept.${filter}`, { inactive_threshold: 6 * minutes }, 10153)
  await refused(`kept.${filter}`, { durable_name: "other" }, 10017)
  await refused(`kept.${filter}`, { filter_subject: `${filter}.>` }, 10131)
}
