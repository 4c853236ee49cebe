/** A partition as one number, as the SQL functions take and return it. */
export const numbered = (fence: { readonly consumer: number; readonly p: number }): number =>
  fence.consumer * 4096 + fence.p
