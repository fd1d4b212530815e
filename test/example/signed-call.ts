import { createHash, createHmac, randomBytes } from "node:crypto";
import { request } from "node:http";

/** 32 bytes, base64url. */
export const SIGNING_KEY = Buffer.alloc(32, 7).toString("base64url");
export const CREDENTIALS = { "cred-acme": "acme", "cred-globex": "globex" };

export type CallOptions = {
  readonly credential?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Overrides of the signature: what an attacker or a faulty gate would do differently. */
  readonly sign?: SignOverrides | null;
};

export type SignOverrides = {
  readonly key?: string;
  readonly label?: string;
  readonly components?: (covered: readonly string[]) => readonly string[];
  readonly created?: number;
  readonly expires?: number;
  readonly nonce?: string;
  readonly keyid?: string;
  readonly tag?: string;
  readonly extra?: string;
};

export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly chunks: number;
};

/** Headers that sign a message as the gate does, written out by hand so that it shares no code with the verifier. */
export function signatureHeaders(
  method: string,
  authority: string,
  target: string,
  fields: Readonly<Record<string, string>>,
  overrides: SignOverrides = {},
): Record<string, string> {
  const now = Math.floor(Date.now() / 1_000);
  const at = target.indexOf("?");
  const values: Record<string, string> = {
    "@method": method,
    "@authority": authority,
    "@path": at === -1 ? target : target.slice(0, at),
    "@query": at === -1 ? "?" : target.slice(at),
    ...fields,
  };
  const covered = overrides.components?.(Object.keys(values)) ?? Object.keys(values);
  const created = overrides.created ?? now;
  const input =
    `(${covered.map((name) => `"${name}"`).join(" ")});created=${created};expires=${overrides.expires ?? created + 60}` +
    `;nonce="${overrides.nonce ?? randomBytes(16).toString("base64url")}";keyid="${overrides.keyid ?? "gate"}"` +
    `;tag="${overrides.tag ?? "portcullis"}"${overrides.extra ?? ""}`;
  const lines = covered.map((name) => `"${name}": ${values[name] ?? ""}`);
  const base = [...lines, `"@signature-params": ${input}`].join("\n");
  const key = Buffer.from(overrides.key ?? SIGNING_KEY, "base64url");
  const label = overrides.label ?? "gate";
  return {
    "signature-input": `${label}=${input}`,
    signature: `${label}=:${createHmac("sha256", key).update(base).digest("base64")}:`,
  };
}

/** Calls the control plane as the gate does: credential, digest, signature. Rejects when the connection is cut. */
export function call(url: string, method: string, target: string, options: CallOptions = {}): Promise<Reply> {
  const authority = new URL(url).host;
  const fields: Record<string, string> = { authorization: `Bearer ${options.credential ?? "cred-acme"}` };
  if (options.body !== undefined) {
    fields["content-type"] = "application/json";
    fields["content-digest"] = `sha-256=:${createHash("sha256").update(options.body).digest("base64")}:`;
  }
  Object.assign(fields, options.headers);
  const signature = options.sign === null ? {} : signatureHeaders(method, authority, target, fields, options.sign);
  return send(url, method, target, { ...fields, ...signature }, options.body);
}

/** Sends a request as given. The target goes out undecoded. */
export function send(
  url: string,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Reply> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    // Node frames no body of a GET by itself.
    const framed = body === undefined ? headers : { ...headers, "content-length": String(Buffer.byteLength(body)) };
    const outgoing = request({ hostname, port, method, path: target, headers: framed, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(parts).toString("utf8"),
          chunks: parts.length,
        }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
