import { timingSafeEqual } from "node:crypto";
import type { Gate } from "../gateway/gate.ts";
import { readBearer } from "../identity/carriers.ts";
import type { Refusal } from "../refusal.ts";

/** Whether the call carries the deployment's bootstrap secret; judged before anything of its body is read. */
export function checkBootstrapSecret(request: Request, gate: Gate): Refusal | null {
  const presented = readBearer(request.headers.get("authorization"));
  if (!presented.ok) return presented.error;
  return matches(presented.value, gate.config.bootstrapSecret)
    ? null
    : { kind: "unauthenticated", cause: "not the bootstrap secret" };
}

function matches(presented: string | null, secret: string | null): boolean {
  if (presented === null || secret === null) return false;
  const [a, b] = [new TextEncoder().encode(presented), new TextEncoder().encode(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
