// A workflow with one step, which writes the row.
import { DBOS } from "@dbos-inc/dbos-sdk"
import postgres from "postgres"
import { serve } from "./front.mjs"

const { databaseUrl, systemDatabaseUrl } = JSON.parse(process.argv[2])
const sql = postgres(databaseUrl, { max: 10, onnotice: () => {} })
await sql`create table if not exists counter (key text primary key, n bigint not null)`

const step = async (key, n) => {
  const [row] = await sql`insert into counter as c (key, n) values (${key}, ${n})
    on conflict (key) do update set n = c.n + excluded.n returning n`
  return Number(row.n)
}
const increment = DBOS.registerWorkflow((key, n) => DBOS.runStep(() => step(key, n), { name: "step" }), {
  name: "increment"
})
DBOS.setConfig({ name: "bench", systemDatabaseUrl, logLevel: "error", runAdminServer: false })
await DBOS.launch()
serve(increment)
