import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { base64url, exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from "jose";
import { CLIENT, LOGIN, SIGNING, type Login, type Signing } from "./provider-login.ts";

const KID = "provider-1";
const CODE_MAX_AGE_MS = 60_000;

type Issued = {
  readonly login: Login;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
  readonly at: number;
};

/**
 * An OpenID provider on loopback as far as the gate talks to one: metadata, keys, authorization with PKCE, single-use codes, a
 * token endpoint that asks for the client's secret. What the person there does, and how the ID token is then wrong, the test
 * says in the parameter `login` of the authorization request. It is also the team domain of a Cloudflare Access: its keys stand
 * at Access's address as well, and `/_standin/sign` signs what it is given.
 */
export async function startProvider(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const keys = await generateKeyPair("RS256", { extractable: true });
  const strangers = await generateKeyPair("RS256", { extractable: true });
  const published: JWK = { ...(await exportJWK(keys.publicKey)), kid: KID, alg: "RS256", use: "sig" };
  const codes = new Map<string, Issued>();
  let url = "";

  const sign = async ({ header, claims, with: signer }: Signing): Promise<string> => {
    const protectedHeader = { alg: "RS256", kid: KID, typ: "JWT", ...header };
    if (signer === "nobody") return `${encoded({ ...protectedHeader, alg: "none" })}.${encoded(claims)}.`;
    if (signer === "public-key") {
      const shared = await importJWK({ kty: "oct", k: base64url.encode(JSON.stringify(published)) }, "HS256");
      return new SignJWT(claims).setProtectedHeader({ ...protectedHeader, alg: "HS256" }).sign(shared);
    }
    const key = signer === "stranger" ? strangers.privateKey : keys.privateKey;
    return new SignJWT(claims).setProtectedHeader(protectedHeader).sign(key);
  };

  const metadata = (): object => ({
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/keys`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    authorization_response_iss_parameter_supported: true,
  });

  const authorize = (query: URLSearchParams, response: ServerResponse): void => {
    const login = LOGIN.parse(JSON.parse(query.get("login") ?? "{}"));
    const redirectUri = query.get("redirect_uri") ?? "";
    const back = new URL(redirectUri);
    back.searchParams.set("state", login.state ?? query.get("state") ?? "");
    back.searchParams.set("iss", login.responseIssuer ?? url);
    if (login.error === null) {
      const code = base64url.encode(crypto.getRandomValues(new Uint8Array(24)));
      codes.set(code, {
        login,
        clientId: query.get("client_id") ?? "",
        redirectUri,
        challenge: query.get("code_challenge_method") === "S256" ? (query.get("code_challenge") ?? "") : "",
        nonce: query.get("nonce") ?? "",
        at: Date.now(),
      });
      back.searchParams.set("code", code);
    } else back.searchParams.set("error", login.error);
    response.writeHead(302, { location: back.href }).end();
  };

  const token = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const form = new URLSearchParams(await bodyOf(request));
    const issued = codes.get(form.get("code") ?? "");
    codes.delete(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!isClient(request.headers.authorization ?? "")) return answer(response, 401, { error: "invalid_client" });
    if (
      issued === undefined ||
      Date.now() - issued.at > CODE_MAX_AGE_MS ||
      issued.clientId !== CLIENT.id ||
      issued.redirectUri !== form.get("redirect_uri") ||
      issued.challenge === "" ||
      issued.challenge !== challenge
    ) {
      return answer(response, 400, { error: "invalid_grant" });
    }
    const now = Math.floor(Date.now() / 1_000);
    const { login } = issued;
    const claims = {
      iss: url,
      aud: CLIENT.id,
      sub: login.sub,
      nonce: issued.nonce,
      iat: now,
      exp: now + 300,
      ...(login.authAgeS === null ? {} : { auth_time: now - login.authAgeS }),
      ...login.claims,
    };
    const idToken = await sign({ header: login.header, claims, with: login.signedBy });
    return answer(response, 200, {
      access_token: "opaque",
      token_type: "Bearer",
      expires_in: 300,
      ...(login.signedBy === "no-token" ? {} : { id_token: idToken }),
    });
  };

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    const answering = async (): Promise<void> => {
      if (pathname === "/.well-known/openid-configuration") return answer(response, 200, metadata());
      if (pathname === "/keys" || pathname === "/cdn-cgi/access/certs")
        return answer(response, 200, { keys: [published] });
      if (pathname === "/authorize") return authorize(searchParams, response);
      if (pathname === "/token") return token(request, response);
      if (pathname === "/_standin/sign") {
        return answer(response, 200, { jwt: await sign(SIGNING.parse(JSON.parse(await bodyOf(request)))) });
      }
      return answer(response, 404, {});
    };
    void answering().catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return {
    url,
    close: async () => {
      // Takes no more first: whoever tries again meanwhile would hold it open.
      const ended = new Promise((closed) => server.close(closed));
      server.closeAllConnections();
      await ended;
    },
  };
}

const encoded = (value: object): string => base64url.encode(JSON.stringify(value));

/** RFC 6749, section 2.3.1: id and secret, each form-encoded, joined by a colon. */
function isClient(authorization: string): boolean {
  const [id = "", secret = ""] = Buffer.from(authorization.replace("Basic ", ""), "base64").toString().split(":");
  return formDecoded(id) === CLIENT.id && formDecoded(secret) === CLIENT.secret;
}

const formDecoded = (text: string): string | null => new URLSearchParams(`x=${text}`).get("x");

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}
