import { z } from "zod";
import { readChannelRow, tenantsAt, writeChannelRow } from "../../db/channel-rows.ts";
import type { Gate } from "../../gateway/gate.ts";
import type { Environment } from "../../identity/api-key.ts";
import { isFetchable, SIGNATURE_ALGORITHMS } from "../../identity/issuers.ts";
import { open, seal } from "../../identity/sealed.ts";
import { isSubjectOf } from "../../identity/subject-class.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { SUBJECT, TENANT_ID } from "../../vocabulary.ts";

/** Put before the provider's `sub`, exactly as it is for access tokens of an issuer: the same person has one subject. */
const subjectPrefix = z
  .string()
  .max(64)
  .regex(/^(?:[A-Za-z0-9][A-Za-z0-9._:@/|-]*)?$/);
const printable = z.string().regex(/^[\x21-\x7E]{1,256}$/);

/** An OpenID provider, and the confidential client that is registered with it for this gate. */
const oidcSettings = z.strictObject({
  /** Compared with `iss` character by character; its metadata is read from `/.well-known/openid-configuration` below it. */
  issuer: z.string().max(256),
  client_id: printable,
  client_secret: printable,
  subject_prefix: subjectPrefix,
  /** What its ID tokens are signed with. RS256 is what OpenID Connect asks every provider to have. */
  algorithms: z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).max(SIGNATURE_ALGORITHMS.length).default(["RS256"]),
});
export type OidcSettings = z.infer<typeof oidcSettings>;

/** A Cloudflare Access application in front of the page. */
const accessSettings = z.strictObject({
  /** `https://<team>.cloudflareaccess.com`: the issuer of its assertions. */
  team_domain: z.string().max(256),
  /** The application's audience (AUD) tag. */
  audience: z.string().regex(/^[0-9a-f]{64}$/),
  subject_prefix: subjectPrefix,
});
export type AccessSettings = z.infer<typeof accessSettings>;

/** Body of the call that says how a tenant's people sign in; it replaces what was said before. */
export const signInBody = z.strictObject({
  tenant: z.string().regex(TENANT_ID),
  oidc: oidcSettings.optional(),
  access: accessSettings.optional(),
});

export type SignInSettings = { readonly oidc: OidcSettings | null; readonly access: AccessSettings | null };

const stored = z.strictObject({ oidc: oidcSettings.nullable(), access: accessSettings.nullable() });

type Place = Pick<Gate, "env" | "keys">;
const contextOf = (tenant: string): string => `channel/sign-in/${tenant}`;

/** What is wrong with settings of the right form, null where nothing is. */
export function brokenSettings({ oidc, access }: SignInSettings, environment: Environment): string | null {
  if (oidc === null && access === null) return "body: state oidc, access or both";
  if (oidc !== null && !isFetchable(oidc.issuer, environment))
    return "body /oidc/issuer: must be an https address of a public host name";
  if (access !== null && !isOrigin(access.team_domain, environment))
    return "body /access/team_domain: must be the https origin of a public host name";
  for (const prefix of [oidc?.subject_prefix, access?.subject_prefix]) {
    if (prefix !== undefined && !isSubjectOf("person", `${prefix}x`))
      return "body: subject_prefix must make subjects of people";
  }
  return null;
}

const isOrigin = (text: string, environment: Environment): boolean =>
  isFetchable(text, environment) && URL.parse(text)?.origin === text;

/** Settings as they wait for a second person: sealed for their tenant. */
export const sealSettings = ({ keys }: Pick<Gate, "keys">, tenant: string, settings: SignInSettings): Promise<string> =>
  seal(settings, keys.sealing, contextOf(tenant));

/** Settings that were sealed for this tenant. */
export async function openSettings(
  { keys }: Pick<Gate, "keys">,
  tenant: string,
  sealed: string,
): Promise<Result<SignInSettings, string>> {
  const opened = await open(sealed, keys.sealing, contextOf(tenant));
  if (!opened.ok) return opened;
  const parsed = stored.safeParse(opened.value);
  return parsed.success ? ok(parsed.data) : err("the sign-in settings have another form");
}

/** Stores settings that the schema and `brokenSettings` have accepted. */
export async function saveSignIn(
  { env, keys }: Place,
  tenant: string,
  settings: SignInSettings,
  now: number,
): Promise<void> {
  const sealed = await seal(settings, keys.sealing, contextOf(tenant));
  const address = settings.access === null ? "" : addressOf(settings.access.team_domain, settings.access.audience);
  await writeChannelRow(env.DB, { tenant, name: "sign-in", address, sealed }, keys.pepper, now);
}

/** How a tenant's people sign in, null where nobody has said. The error is for a store or a row that cannot be trusted. */
export async function readSignInSettings(
  { env, keys }: Place,
  tenant: string,
): Promise<Result<SignInSettings | null, string>> {
  const row = await readChannelRow(env.DB, tenant, "sign-in", keys.pepper);
  if (!row.ok || row.value === null) return row.ok ? ok(null) : row;
  return openSettings({ keys }, tenant, row.value);
}

/**
 * The tenants whose people an assertion with this issuer and audience may speak for. An application belongs to one tenant:
 * where two have it, whoever reads this lets nobody in.
 */
export const tenantsOfApplication = (
  { env }: Pick<Gate, "env">,
  teamDomain: string,
  audience: string,
): Promise<Result<readonly string[], string>> => tenantsAt(env.DB, "sign-in", addressOf(teamDomain, audience), 2);

const addressOf = (teamDomain: string, audience: string): string => `${teamDomain} ${audience}`;

/** The gate's subject of the provider's `sub`, null where it makes none of a person's. */
export function subjectOf(prefix: string, sub: unknown): string | null {
  const subject = `${prefix}${typeof sub === "string" ? sub : ""}`;
  return typeof sub === "string" && sub !== "" && SUBJECT.test(subject) && isSubjectOf("person", subject)
    ? subject
    : null;
}
