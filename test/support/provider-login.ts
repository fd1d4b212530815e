import { z } from "zod";

/** The client that the gate is at the provider's stand-in. Its secret has what Basic authentication has to encode. */
export const CLIENT = { id: "gate-client", secret: "a-secret:with+a-colon&a%" } as const;

const signer = z.enum(["provider", "stranger", "public-key", "nobody", "no-token"]);

/**
 * What a person does at the provider's stand-in, and how its answer is then wrong. `signedBy`: its own key, somebody else's, its
 * public key taken for a shared secret, nobody (`alg: none`), or no ID token at all.
 */
export const LOGIN = z.strictObject({
  sub: z.string().default("alice"),
  /** Seconds since the person signed in there; null for a provider that does not say. */
  authAgeS: z.number().nullable().default(0),
  claims: z.record(z.string(), z.json()).default({}),
  header: z.record(z.string(), z.json()).default({}),
  signedBy: signer.default("provider"),
  error: z.string().nullable().default(null),
  state: z.string().nullable().default(null),
  responseIssuer: z.string().nullable().default(null),
});
export type Login = z.infer<typeof LOGIN>;
export type LoginInput = z.input<typeof LOGIN>;

/** What `/_standin/sign` takes. */
export const SIGNING = z.strictObject({
  header: z.record(z.string(), z.json()).default({}),
  claims: z.record(z.string(), z.json()),
  with: signer.default("provider"),
});
export type Signing = z.infer<typeof SIGNING>;
