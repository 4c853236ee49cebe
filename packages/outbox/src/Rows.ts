import type { Commit } from "@troupe/postgres/internal"

type Row = Commit.OutboxRow

/** Rows that wait, in order of position. Taken from the front in portions, whatever its length. */
export class Rows {
  #rows: Array<Row> = []
  #first = 0
  #bytes = 0

  get length(): number {
    return this.#rows.length - this.#first
  }

  /** Characters of the bodies. */
  get bytes(): number {
    return this.#bytes
  }

  get last(): Row | undefined {
    return this.length === 0 ? undefined : this.#rows.at(-1)
  }

  push(row: Row): void {
    this.#rows.push(row)
    this.#bytes += row.body.length
  }

  /** The first rows, within both limits, but one at least if there is one. */
  portion(limit: { readonly rows: number; readonly bytes: number }): ReadonlyArray<Row> {
    const end = Math.min(this.#rows.length, this.#first + limit.rows)
    let next = this.#first
    for (let bytes = 0; next < end; next++) {
      bytes += this.#rows[next]!.body.length
      if (bytes > limit.bytes && next > this.#first) break
    }
    return this.#rows.slice(this.#first, next)
  }

  drop(count: number): void {
    const end = Math.min(this.#rows.length, this.#first + count)
    for (; this.#first < end; this.#first++) this.#bytes -= this.#rows[this.#first]!.body.length
    // What was dropped is let go when it is half of the array: a shift for each portion would copy a long queue each time.
    if (this.#first * 2 >= this.#rows.length) {
      this.#rows = this.#rows.slice(this.#first)
      this.#first = 0
    }
  }

  clear(): void {
    this.drop(this.length)
  }
}
