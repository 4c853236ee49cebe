export * as Actor from "./Actor.ts"
export * as State from "./State.ts"
export * as Subscriber from "./Subscriber.ts"
export * as Turn from "./Turn.ts"
