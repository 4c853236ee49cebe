export {
  check,
  type Expected,
  type ExpectedTimer,
  given,
  type Given,
  type GivenSubscriber,
  type How,
  type When
} from "./Given.ts"
