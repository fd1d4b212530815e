import { z } from "zod";
import { readEvidence, storeEvidence } from "../db/evidence.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** 256 KiB of text (wire contract, section 3); escaped as a JSON string it may take six times that. */
const EVIDENCE_MAX = 256 * 1024;
const EVIDENCE_BODY_BYTES = 6 * EVIDENCE_MAX + 64;

const bytesOf = (text: string): number => new TextEncoder().encode(text).byteLength;

const evidenceBody = z.strictObject({
  evidence: z
    .string()
    .min(1)
    .max(EVIDENCE_MAX)
    // The bound is one of bytes: a character takes up to three of them.
    .refine((text) => bytesOf(text) <= EVIDENCE_MAX, `at most ${EVIDENCE_MAX} bytes of UTF-8`),
});

/** Evidence too long for a header: uploaded first, then named with `Gate-Evidence-Ref`. */
export const evidenceRoutes: readonly AdminRoute[] = [
  {
    method: "POST",
    path: "/_gate/v1/evidence",
    roles: null,
    bodyBytes: EVIDENCE_BODY_BYTES,
    body: evidenceBody,
    journaled: false,
    handle: store,
  },
  { method: "GET", path: "/_gate/v1/evidence/:digest", roles: null, handle: show },
];

async function store(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, evidenceBody);
  if (!body.ok) return refuse(body.error);
  const text = call.gate.redactor.longText(body.value.evidence);
  const { tenant, subject } = call.principal;
  const digest = await storeEvidence(call.gate.env.DB, tenant, text, subject, call.trail.receivedAt);
  return json({ ref: digest, bytes: bytesOf(text), use: `Gate-Evidence-Ref: ${digest}` }, 201);
}

/** People of the tenant read what agents upload; `digest` is without its `sha256:`, which no path may contain. */
async function show(call: AdminCall): Promise<AdminAnswer> {
  if (call.principal.class !== "person") return refuse({ kind: "not-found" });
  const found = await readEvidence(call.gate.env.DB, call.principal.tenant, `sha256:${call.param("digest")}`);
  if (!found.ok) return refuse({ kind: "unavailable", dependency: "d1", cause: found.error });
  return found.value === null
    ? refuse({ kind: "not-found" })
    : json({ ref: `sha256:${call.param("digest")}`, evidence: found.value });
}
