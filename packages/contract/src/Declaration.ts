/**
 * What to add where a part of a service sends to an actor that it does not declare: the whole line. `sends` are the actors
 * that it declares already, as `payments.Payment`.
 */
export const ofPart = (target: string, sends: ReadonlyArray<string>): string =>
  `add sends: [${[...sends, target].map(exported).join(", ")}] to the part, ` +
  `and allow: { send: [${exported(serviceOf(target))}] } to a service that is another one`

/** What to add where a caller was refused a subject, or `undefined` when no declaration gives it. */
export const ofCaller = (subject: string): string | undefined => {
  const [, command] = /^cmd\.([^.]+\.[^.]+\.[^.]+)\./.exec(subject) ?? []
  if (command !== undefined) {
    const at = command.lastIndexOf(".")
    return `add sends: [${exported(command.slice(0, at))}.commands.${command.slice(at + 1)}] to its Caller`
  }
  const [, stream] = /^(?:\$JS|JS\.[^.]+)\.API\.[A-Z.]+\.(?:EVT|PLACE)_([^.]+)/.exec(subject) ?? []
  return stream === undefined ? undefined : `add hears: [${exported(stream)}] to its Caller`
}

/** The name under which packages export a contract, or its actor: `Payments.Payment`. */
const exported = (name: string): string =>
  name.replace(/^[a-z0-9-]+/, (service) => service.replace(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase()))

const serviceOf = (name: string): string => name.split(".", 1).join()
