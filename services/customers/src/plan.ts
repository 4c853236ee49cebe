import { Line, OrderId } from "@shop/orders"

/** One order that will be placed. */
export interface Planned {
  readonly id: OrderId
  readonly customer: string
  readonly lines: readonly [Line, ...Array<Line>]
  /** Sent a second time with the same message id: while the first is on its way, or after its answer. */
  readonly again: "never" | "at once" | "afterwards"
}

export const orders = 1_000
export const customers = 200

/**
 * What the customers will order, the same for each run but for the ids, which begin with `run`: of a thousand orders 20
 * ask for what is sold out, 80 cost more than a customer may owe (payments declines above 500.00), 50 are sent twice.
 */
export const make = (run: string): ReadonlyArray<Planned> =>
  Array.from({ length: orders }, (_, i) => ({
    id: OrderId.make(`${run}-${String(i + 1).padStart(4, "0")}`),
    customer: `customer-${(i % customers) + 1}`,
    lines: [line(i)],
    again: i % 20 !== 3 ? "never" : i % 40 === 3 ? "at once" : "afterwards"
  }))

const line = (i: number): Line => {
  if (i % 50 === 7) return new Line({ sku: "unobtainium", quantity: 1, cents: 100 })
  if (i % 12 === 11) return new Line({ sku: "silver teapot", quantity: 1, cents: 75_000 })
  return new Line({ sku: "tea", quantity: 1 + (i % 3), cents: 500 + (i % 97) * 100 })
}
