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

/** A moment to the second, with its offset from UTC (RFC 3339). */
export const momentSchema = z.iso.datetime({
  offset: true,
  precision: 0,
  error: "a moment with its offset is required (RFC 3339), e.g. 2026-11-01T00:00:00Z",
});
