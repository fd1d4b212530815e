import type { Refusal } from "../refusal.ts";

/** How a request ended, before its record is written. `dispatched` ones are recorded by the ledger. */
export type Ended =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "answered"; readonly response: Response; readonly code: string; readonly upstreamStatus: number }
  | { readonly kind: "planned"; readonly response: Response; readonly upstreamStatus: number | null }
  | { readonly kind: "replayed"; readonly response: Response; readonly of: string }
  | { readonly kind: "dispatched"; readonly response: Response }
  | { readonly kind: "dispatched"; readonly refusal: Refusal }
  /** A read: its record is durable already. */
  | { readonly kind: "served"; readonly response: Response };
