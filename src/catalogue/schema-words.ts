import { z } from "zod";

/** An HTTP status. */
export const statusSchema = z.int().min(100).max(599);

/** A path template of a route or a call: canonical, each parameter a whole segment. */
export const pathSchema = z
  .string()
  .max(512)
  .regex(/^(\/|(\/([A-Za-z0-9._~-]+|\{[a-z][a-z0-9_]*\}))+)$/, {
    error: "a canonical path template is required: /segment/{name}, no %, no trailing slash",
  });

/** A path template whose one parameter is the id of a resource that upstream named. */
export const resourcePathSchema = z
  .string()
  .max(512)
  .regex(/^(?=[^{]*\{resource\}[^{]*$)(\/([A-Za-z0-9._~-]+|\{resource\}))+$/, {
    error: "a canonical path template with {resource} as one segment is required",
  });

/** Text with the gate's reference in it, once. */
export const referenceTemplateSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^{}]*\{reference\}[^{}]*$/, { error: "must contain {reference} once" });

/** A moment to the second, with its offset from UTC (RFC 3339). */
export const momentSchema = z.iso.datetime({
  offset: true,
  precision: 0,
  error: "a moment with its offset is required (RFC 3339), e.g. 2026-11-01T00:00:00Z",
});
