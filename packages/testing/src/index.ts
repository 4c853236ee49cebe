export { check, type Expected, given, type Given, type GivenSubscriber, type How, type When } from "./Given.ts"
