export * as Account from "./Account.ts"
export * as Codes from "./Codes.ts"
export * as Consistency from "./Consistency.ts"
export * as Contract from "./Contract.ts"
export * as Declaration from "./Declaration.ts"
export * as Envelope from "./Envelope.ts"
export * as EventWire from "./EventWire.ts"
export * as Id from "./Id.ts"
export * as JsonBounds from "./JsonBounds.ts"
export * as Key from "./Key.ts"
export {
  type Decoded,
  type Encoded,
  type Event,
  type EventMessage,
  Message,
  type Target,
  type Wire
} from "./Message.ts"
export * as Reason from "./Reason.ts"
export { ReadBudget, Share } from "./ReadBudget.ts"
export * as Reply from "./Reply.ts"
export * as Subject from "./Subject.ts"
export * as Text from "./Text.ts"
export * as Json from "./Wire.ts"
