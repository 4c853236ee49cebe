// What the browser loads.
import { connect } from "@troupe/client"
import { check, type Place } from "./checks.ts"

Object.assign(globalThis, { check: (place: Place) => check(connect, place) })
