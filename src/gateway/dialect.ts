import type { ErrorDialect } from "../catalogue/types.ts";
import { unreachable } from "../platform/assert.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";

/** A refusal's body in the control plane's own error shape, so that unmodified clients print it. */
export type Spoken = { readonly contentType: string; readonly body: JsonObject };

/** Slurm has no code for "refused by a gate": its generic error, the one its clients always print. */
const SLURM_ERROR = -1;

/** Renders RFC 9457 members in a dialect. The members themselves stay in the body, for clients that know the gate. */
export function speak(dialect: ErrorDialect, problem: JsonObject): Spoken {
  const title = textOf(problem["title"]);
  const detail = textOf(problem["detail"]);
  const slug = textOf(problem["slug"]);
  const message = `gate: ${title}: ${detail} (request ${textOf(problem["request_id"])})`;
  switch (dialect) {
    case "problem":
      return { contentType: "application/problem+json", body: problem };
    case "error-object":
      return { contentType: "application/json", body: { ...problem, error: { code: slug, message } } };
    case "slurm":
      return {
        contentType: "application/json",
        body: {
          ...problem,
          errors: [
            {
              error_number: SLURM_ERROR,
              error_code: SLURM_ERROR,
              error: message,
              description: detail,
              source: "portcullis",
            },
          ],
        },
      };
    case "kubernetes":
      return {
        contentType: "application/json",
        body: {
          ...problem,
          kind: "Status",
          apiVersion: "v1",
          metadata: {},
          // `Status.status` is a word where RFC 9457 has a number; the number is in `code`.
          status: "Failure",
          message,
          reason: slug,
          code: problem["status"] ?? null,
        },
      };
    default:
      return unreachable(dialect);
  }
}

const textOf = (value: JsonValue | undefined): string => (typeof value === "string" ? value : "");
