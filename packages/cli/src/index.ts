/** The command `troupe`, to be mounted or tested. As a program: `main.ts`. */
export { troupe } from "./Commands.ts"
