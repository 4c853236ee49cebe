// A host whose handlers compute: node burning.ts '{"name": ...}'. On a host that does not burn they do nothing.
import { run, type Settings as HostSettings } from "@troupe/test-world/host"
import { Actor } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"

export interface Settings extends HostSettings {
  readonly name: string
  readonly burns: boolean
}

class Burner extends Contract.actor({
  key: Schema.String,
  commands: {
    burn: Contract.command({ payload: { ms: Schema.Int }, reply: Schema.Int }),
    leave: Contract.command({ payload: { after: Schema.Int } }),
    wait: Contract.command({ payload: { ms: Schema.Int }, reply: Schema.Int })
  }
}) {}

/** Answers how often the key has burnt. */
export const burning = (name: string, burns: boolean) => {
  const contract = Contract.make(name, { Burner })
  const burner = Actor.make(contract.Burner, { state: Schema.Int, initial: 0 }).commands({
    burn({ ms }, self) {
      const until = performance.now() + ms
      if (burns && ms > 0) {
        process.stdout.write(`burns ${self.key}\n`)
        while (performance.now() < until);
        process.stdout.write(`burnt ${self.key}\n`)
      }
      self.set(self.state + 1)
      return self.state
    },
    /** Its turn ends well, and later a timer of it computes for 10 minutes. */
    leave({ after }, self) {
      setTimeout(() => {
        process.stdout.write(`burns behind ${self.key}\n`)
        const until = performance.now() + (burns ? 600_000 : 0)
        while (performance.now() < until);
      }, after)
    },
    async wait({ ms }, self) {
      process.stdout.write(`waits ${self.key}\n`)
      await new Promise((resolve) => setTimeout(resolve, ms))
      self.set(self.state + 1)
      return self.state
    }
  })
  return { contract, service: Service.make(contract, { actors: [burner] }) }
}

if (import.meta.main) {
  const settings: Settings = JSON.parse(process.argv[2]!)
  run(burning(settings.name, settings.burns).service, settings)
}
