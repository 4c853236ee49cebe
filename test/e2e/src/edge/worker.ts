// What workerd serves. Its name is put in when it is bundled, its secret is a binding.
import { serve } from "./serve.ts"

declare const NAME: string

export default serve(NAME, (env) => [(env as { readonly SECRET: string }).SECRET])
