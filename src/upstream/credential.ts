import { Buffer } from "node:buffer";
import type { UpstreamAuth } from "../catalogue/types.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";

/** Header values of printable ASCII only: a stored credential can never split a header. */
const HEADER_VALUE = /^[\x21-\x7e][\x20-\x7e]*$/;

/**
 * The headers by which the gate itself authenticates upstream, made from the tenant's opened credential. Fails when the
 * credential lacks a field that the catalogue's scheme needs. The error names the field, never its value.
 */
export function credentialHeaders(
  auth: UpstreamAuth,
  credential: JsonObject,
): Result<Readonly<Record<string, string>>, string> {
  const field = (name: string): string | null => {
    const value = credential[name];
    return typeof value === "string" && HEADER_VALUE.test(value) ? value : null;
  };
  if (auth.kind === "bearer") {
    const token = field("token");
    return token === null
      ? err("the upstream credential has no usable `token`")
      : ok({ authorization: `Bearer ${token}` });
  }
  if (auth.kind === "basic") {
    const [user, password] = [field("user"), field("password")];
    if (user === null || password === null) return err("the upstream credential has no usable `user` and `password`");
    return ok({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` });
  }
  const headers: Record<string, string> = {};
  for (const [header, name] of Object.entries(auth.headers)) {
    const value = field(name);
    if (value === null) return err(`the upstream credential has no usable \`${name}\``);
    headers[header.toLowerCase()] = value;
  }
  return ok(headers);
}
