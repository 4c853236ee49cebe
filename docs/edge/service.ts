import { Service } from "@troupe/service"
import { Box } from "./contract.ts"
import { show } from "./show.ts"

const { EDGE_SECRET, EDGE_URL } = process.env

export default Service.make(Box, { actors: [show.remote({ url: EDGE_URL, secrets: [EDGE_SECRET] })] })
