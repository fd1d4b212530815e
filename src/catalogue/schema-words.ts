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
