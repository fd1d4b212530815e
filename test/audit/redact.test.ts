import { describe, expect, it, test } from "vitest";
import { array, assert, constantFrom, property } from "fast-check";
import { createHash } from "node:crypto";
import { createRedactor } from "../../src/audit/redact.ts";

const redactor = createRedactor(new TextEncoder().encode("a key of 32 bytes, for tests only"));
const MARK = /\[redacted(?::[0-9a-f]{16})?\]/;

/** Apart from its neighbours, so that no scanner takes this file for a leak. */
const PRIVATE = "PRIVATE".toUpperCase();

const MARKED: unknown = expect.stringMatching(MARK);

/** `prefix + tail`, joined here so that no scanner takes this file for a leak. */
const canary = (prefix: string, tail: string): string => `${prefix}${tail}`;

/** Each form, and the part of it that must not be seen where that is not the whole. */
const CANARIES: readonly (readonly [form: string, text: string, secret?: string])[] = [
  ["our own key", canary("pcl_live_", "q7Zt9LmB2xVc4NpR8sKd1WfH")],
  ["a JWT", canary("eyJ", "hbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRlbg")],
  ["a JWT without signature", canary("eyJ", "hbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")],
  ["a JWS with a detached payload", canary("eyJ", "hbGciOiJFZERTQSJ9..c2lnbmF0dXJlLW9mLXRlbg")],
  ["a JWE", canary("eyJ", "hbGciOiJSU0EifQ.OKOawDo13gRp2.48V1_ALb6US04U3b.5eym8TW_c8SuK0l.XFBoMYUZodet9")],
  ["an AWS access key id", canary("AKIA", "IOSFODNN7EXAMPLE")],
  ["a temporary AWS access key id", canary("ASIA", "IOSFODNN7EXAMPLE")],
  ["an AWS secret", canary("wJalrXUtnFEMI", "/K7MDENG/bPxRfiCYEXAMPLEKEY")],
  ["an AWS pair", canary("AKIAIOSFODNN7EXAMPLE", "/wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")],
  ["a Google API key", canary("AIza", "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY")],
  ["a Google client secret", canary("GOCSPX-", "9dQwErTyUiOpAsDfGhJkLzXcVb")],
  ["a Google access token", canary("ya29.", "a0AfH6SMBx3k5Yq-7LkPqR")],
  ["an Azure client secret", canary("Zx98Q~", "gH7kL2mN5pR8sT1vW4yZ6bC9dF3hJ0kM.~")],
  ["an Azure storage key", canary("AccountKey=", "c2hvcnQ+key/with==;EndpointSuffix=core"), "c2hvcnQ+key/with"],
  ["an Azure shared access signature", "sv=2024-11-04&sig=c2hvcnQlM0Q", "c2hvcnQlM0Q"],
  ["a GitHub token", canary("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a")],
  ["a fine-grained GitHub token", canary("github_pat_", "11ABCDEFG0_aBcDeFgHiJkLmNoPqRsTuVwXyZ")],
  ["a GitLab token", canary("glpat-", "xY7zW8vU9tS0rQ1pO2nM")],
  ["a routable GitLab token", canary("glpat-", "xY7zW8vU9tS0rQ1p.01.0z1a2b3c4")],
  ["a Slack token", canary("xoxb-", "123456789012-abcdefghijkl")],
  ["a Slack app token", canary("xapp-", "1-A0123456789-abcdefghijkl")],
  ["a Slack webhook", canary("hooks.slack.com/services/", "T0000/B0000/abcdefghijklmnop"), "abcdefghijklmnop"],
  ["a Stripe key", canary("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc")],
  ["a Stripe webhook secret", canary("whsec_", "MfKQ9r8GKYqrTwjUPD8I+LPZIo2")],
  ["a model key", canary("sk-", "proj-Ab12Cd34Ef56Gh78Ij90")],
  ["an Anthropic key", canary("sk-", "ant-api03-Ab12Cd34Ef56Gh78")],
  ["a Hugging Face token", canary("hf_", "QwErTyUiOpAsDfGhJkLzXcVbNm")],
  ["an npm token", canary("npm_", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6")],
  ["an NVIDIA key", canary("nvapi-", "aB3dE6gH9jK2mN5pQ8sT")],
  ["a Docker token", canary("dckr_pat_", "aB3dE6gH9jK2mN5pQ8sT")],
  ["a Vault token", canary("hvs.", "CAESIJaB3dE6gH9jK2mN5p")],
  ["a SendGrid key", canary("SG.", "aB3dE6gH9jK2mN5pQ8sT1v.aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6aB3dE6g")],
  ["a PEM key", `-----BEGIN RSA ${PRIVATE} KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA ${PRIVATE} KEY-----`],
  ["a PEM key without end", `-----BEGIN ${PRIVATE} KEY-----\nMIIEpAIBAAKCAQEA`],
  ["a PEM key on one line", `-----BEGIN EC ${PRIVATE} KEY-----\\nMHcCAQEEIO\\n-----END EC ${PRIVATE} KEY-----`],
  ["a PGP key", `-----BEGIN PGP ${PRIVATE} KEY BLOCK-----\n\nlQOYBF\n-----END PGP ${PRIVATE} KEY BLOCK-----`],
  ["an SSH2 key", `---- BEGIN SSH2 ENCRYPTED ${PRIVATE} KEY ----\nP2/56wAA`],
  ["a URL with user and password", "postgres://admin:hunter2hunter@db", "hunter2hunter"],
  ["a URL with a password alone", "redis://:hunter2hunter@cache", "hunter2hunter"],
  ["a URL with a hard password", "https://bob:p@ss/w:rd@registry.example/v2", "p@ss/w:rd"],
  ["a URL with a token for a name", canary("https://0a1b2c3d4e5f", "0a1b2c3d4e5f@sentry.example/1"), "0a1b2c3d4e5f0"],
  ["a driver's address", "app:hunter2hunter@tcp(db:3306)/books", "hunter2hunter"],
  ["a connection string", "Server=db;User Id=sa;Password=hunter two;Encrypt=yes", "hunter two"],
  ["password: value", "password: hunter2hunter", "hunter2hunter"],
  ["a short password", "passwd=pw1", "pw1"],
  ["a password in words", 'password: "correct horse battery staple"', "horse battery staple"],
  ["a password in an apostrophe", "pwd='x y z zy'", "y z zy"],
  ["a password in a sentence", "the password is hunter2", "hunter2"],
  ["TOKEN=value", "TOKEN=abcdef123", "abcdef123"],
  ["api_key in JSON", '"api_key": "abcdef123"', "abcdef123"],
  ["a secret in JSON in JSON", String.raw`{\"client_secret\":\"abc def 123\"}`, "abc def 123"],
  ["a Ruby hash", "api_key => 'abcdef123'", "abcdef123"],
  ["a bearer header", "Authorization: Bearer abcdef123456", "abcdef123456"],
  ["a basic header", "Authorization: Basic Ym9iOmh1bnRlcjI=", "Ym9iOmh1bnRlcjI"],
  ["basic authentication alone", "Basic Ym9iOmh1bnRlcjI=", "Ym9iOmh1bnRlcjI"],
  ["a cookie", "Cookie: theme=dark; sid=abc-def", "abc-def"],
  ["curl's user", "curl -u bob:hunter2 https://registry.example", "hunter2"],
  ["an access token", "access_token=abcdef123", "abcdef123"],
  ["an environment variable", "export AWS_SECRET_ACCESS_KEY=abcdef123", "abcdef123"],
  ["a camel-case secret", '"clientSecret": "abcdef123"', "abcdef123"],
  ["a flag", "--db-password abcdef123", "abcdef123"],
  ["a short flag", "--token hush", "hush"],
  ["an unknown random string", "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3A="],
  ["256 random bits in hexadecimal", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
];

describe("free text", () => {
  it.each(CANARIES)("never shows %s, wherever it stands", (_, form = "", secret = form) => {
    for (const text of [form, `before ${form} after`, `(${form})`, `x=${form}`, `${form}\n${form}`, `é€${form}`]) {
      const shown = redactor.text(text) ?? "";
      expect(shown).toMatch(MARK);
      expect(shown).not.toContain(secret);
      for (const part of secret.split(/[^A-Za-z0-9]+/).filter((piece) => piece.length >= 12 && /[0-9]/.test(piece))) {
        expect(shown).not.toContain(part);
      }
      expect(redactor.text(shown), "what is redacted stays as it is").toBe(shown);
    }
  });

  it.each([
    "disk /dev/sda1 is 97 % full since 2026-11-20T12:00:00Z",
    `sha256:${"0123456789abcdef".repeat(4)}`,
    `registry.example/train@sha256:${"0123456789abcdef".repeat(4)}`,
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "request req_0123456789abcdefghjkmnpqrs of key_0123456789abcdefghjkmnpqrs",
    "job look-up/req_0123456789abcdefghjkmnpqrs of team-7/123e4567-e89b-12d3-a456-426614174000",
    "workload 123e4567-e89b-12d3-a456-426614174000 on node gpu-a100-017",
    "token_bucket_size is 10, max_tokens=100000, tokenizer: llama-3",
    "see https://wiki.example.com/runbooks/full-disk?section=2",
    "http://prometheus.example:9090/graph?owner=sre@example.com",
    "the token expired, so the secret rotation of the night failed; basic training of the model went on",
    "resnet50-imagenet-distributed-training-run-7 read /data/models/llama-3-70b-instruct/checkpoint-1000",
    "HF_HUB_ENABLE_HF_TRANSFER=1 and NPM_CONFIG_LOGLEVEL=silent; sk-learn-training-job",
    "",
  ])("leaves alone what is harmless: %s", (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  it("marks equal secrets alike under one key, and differently under another: a guess cannot be tested without the key", () => {
    const other = createRedactor(new TextEncoder().encode("another key of 32 bytes, for tests"));
    const [first, again, second] = [
      "token: abcdefghijklmnop1",
      "Bearer abcdefghijklmnop1",
      "token: abcdefghijklmnop2",
    ].map((text) => /\[redacted:[0-9a-f]{16}\]/.exec(redactor.text(text) ?? "")?.[0]);
    expect(first).toBeDefined();
    expect(again).toBe(first);
    expect(second).not.toBe(first);
    expect(other.text("token: abcdefghijklmnop1")).not.toContain(first);
  });

  it("removes a secret that could be guessed: trying all of them shows no digest that is the same", () => {
    expect(redactor.text("password: hunter2")).toBe("password: [redacted]");
    expect(redactor.text("password: hunter3")).toBe("password: [redacted]");
    expect(redactor.body({ env: { PIN: "1234" }, pin: 1234 })).toEqual({
      env: { PIN: "[redacted]" },
      pin: "[redacted]",
    });
  });

  it("is capped, and says how long it was and the plain SHA-256 of the whole, by which its sender can show it", () => {
    const long = "lorem ipsum ".repeat(2_000);
    const shown = redactor.text(long) ?? "";
    const digest = createHash("sha256").update(long).digest("hex");
    expect(shown).toBe(`${long.slice(0, 8_192)}… [24000 characters, sha256:${digest}]`);
    expect(redactor.longText(long)).toBe(long);
  });

  it("has no digest of what it hides when it is capped: two passwords of one length leave the same text", () => {
    const words = "lorem ipsum ".repeat(2_000);
    const first = redactor.text(`${words} password: hunter2`);
    expect(first).toContain("sha256:");
    expect(first).toBe(redactor.text(`${words} password: hunter3`));
  });

  it.each([8_190, 8_191, 8_192, 8_193])("stays well-formed when a character straddles the cap at %i", (before) => {
    const text = `${"a ".repeat(before / 2)}${before % 2 === 1 ? "a" : ""}${"\u{1F600}".repeat(4)}`;
    expect(redactor.text(text)?.isWellFormed()).toBe(true);
    expect(redactor.text(String.fromCharCode(0xd83d))).toBe("\ufffd");
  });

  it("null stays null", () => {
    expect(redactor.text(null)).toBeNull();
  });
});

/** Pieces of which every pattern is made, so that what is made of them begins many matches and completes few. */
const PIECES = [
  ...Array.from("-_./:=@~+ \n\t\"'\\,;%&?#[]<>()0aA1Zz"),
  "--",
  "://",
  "a://b:",
  "=>",
  "eyJ",
  "eyJaaaaaaaa.",
  "AKIA",
  "sk-",
  "sk_live_",
  "SG.",
  "ya29.",
  "hvs.",
  "glpat-",
  "xoxb-",
  "8Q~",
  "basic ",
  "bearer ",
  "token",
  "password",
  "password is ",
  "secret_key",
  "-----BEGIN ",
  "-----END ",
  "PRIVATE KEY",
  `-----BEGIN ${PRIVATE} KEY-----`,
  "-u a:",
  "@tcp(",
  "cookie: ",
  "authorization: ",
  "[redacted]",
  "\u{1F600}",
];

describe("text of half a megabyte", () => {
  /** What is quadratic takes many minutes over these, hundreds of times the test's own limit. */
  it.each(
    PIECES.flatMap((piece) =>
      ["", "token", "a://b:", "MNO"].map((head) => [JSON.stringify(head + piece), head, piece]),
    ),
  )("made of %s and more of the same is read in linear time", (_, head, piece) => {
    const text = head + piece.repeat(Math.floor(524_288 / piece.length));
    expect(redactor.text(text)?.length).toBeLessThan(9_000);
  });

  it("made of any two or three pieces over and over is read in linear time", { timeout: 60_000 }, () => {
    const pieces = array(constantFrom(...PIECES), { minLength: 2, maxLength: 3 });
    assert(
      property(pieces, (some) => {
        const piece = some.join("");
        const text = piece.repeat(Math.floor(524_288 / piece.length));
        expect(redactor.longText(text).length).toBeLessThanOrEqual(text.length * 12);
      }),
      { numRuns: 60 },
    );
  });
});

test("any text of such pieces is well-formed when redacted, and shows no secret that was put into it", () => {
  const around = array(constantFrom(...PIECES), { maxLength: 12 }).map((some) => some.join(""));
  const secret = canary("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a");
  assert(
    property(around, around, (before, after) => {
      const shown = redactor.longText(before + secret + after);
      expect(shown.isWellFormed()).toBe(true);
      expect(shown).not.toContain(secret);
      expect(redactor.path(`/${before}${secret}${after}`)).not.toContain(secret);
    }),
    { numRuns: 2_000 },
  );
});

describe("a path", () => {
  it.each([
    "/v1/workloads",
    "/v1/allocations/alloc-00001234/transfer",
    "/_gate/v1/approvals/apr_0123456789abcdefghjkmnpqrs/decisions",
    "/apis/batch/v1/namespaces/team-7/jobs/resnet50-train-2026?dryRun=All&fieldManager=kubectl",
    "/v1/workloads/123e4567-e89b-12d3-a456-426614174000/logs?tail=100",
  ])("stays readable: %s", (path) => {
    expect(redactor.path(path)).toBe(path);
  });

  it("never shows a secret in a segment or in the query, percent-encoded or not", () => {
    for (const [, form, secret = form] of CANARIES) {
      const once = encodeURIComponent(form);
      for (const written of [once, encodeURIComponent(once), once.replace("%3A", ":").replace("%20", "+")]) {
        for (const path of [`/v1/${written}/logs`, `/v1/x?q=${written}`, `/v1/x?a=1?b=${written}&c=1`]) {
          const shown = redactor.path(path);
          expect(shown).not.toContain(secret);
          expect(decodeURIComponent(decodeURIComponent(shown)).replaceAll("+", " ")).not.toContain(secret);
        }
      }
    }
  });

  it("never shows the value of a parameter that is named like a secret, however short", () => {
    expect(redactor.path("/v1/x?access_token=abc&limit=5&access%5Ftoken=abc&max_tokens=7&password=1")).toBe(
      "/v1/x?access_token=[redacted]&limit=5&access%5Ftoken=[redacted]&max_tokens=7&password=[redacted]",
    );
  });
});

describe("a body", () => {
  it("hides the environment whole, members named like secrets, and secrets anywhere else", () => {
    const body = {
      name: "resnet",
      gpus: 4,
      env: { PLAIN: "value", NESTED: ["a", { b: 1 }], EMPTY: null },
      Environment: ["X=1"],
      registry_password: "short",
      auth: { user: "bob", apiKey: "k" },
      args: ["--lr", "0.1", "--token", "hush", "--api-key=hf_QwErTyUiOpAsDfGhJkLz", "next"],
      max_tokens: 4_096,
      credentials: { user: "root", pass: "toor", port: 22 },
      nested: [{ env: { A: "b" } }],
    };
    const shown = redactor.body(body);
    expect(shown).toMatchObject({
      name: "resnet",
      gpus: 4,
      max_tokens: 4_096,
      args: ["--lr", "0.1", "--token", MARKED, MARKED, "next"],
      credentials: { port: 22 },
    });
    const text = JSON.stringify(shown);
    for (const hidden of ["value", "short", "hush", "toor", "X=1", "hf_Qw", '"b":1', '"A":"b"', '"apiKey":"k"'])
      expect(text).not.toContain(hidden);
    expect(text).toContain("PLAIN");
  });

  it("keeps numbers, booleans and null, and what is named like nothing in particular", () => {
    const body = { a: 1, b: true, c: null, d: [1.5, "text"], e: {} };
    expect(redactor.body(body)).toEqual(body);
  });

  it("hides a secret that is a member's name, and values whose name is a member beside them", () => {
    const token = canary("hf_", "QwErTyUiOpAsDfGhJkLzXcVbNm");
    const shown = redactor.body({
      labels: { [token]: "x" },
      env: { [token]: "y" },
      settings: [
        { name: "DB_PASSWORD", value: "toor" },
        { key: "REGION", value: "north" },
      ],
    });
    expect(shown).toMatchObject({
      settings: [
        { name: "DB_PASSWORD", value: "[redacted]" },
        { key: "REGION", value: "north" },
      ],
    });
    expect(JSON.stringify(shown)).not.toContain(token);
  });
});

describe("facts", () => {
  it("are redacted text by text, and keep what is no text", () => {
    const token = canary("hf_", "QwErTyUiOpAsDfGhJkLzXcVbNm");
    const shown = redactor.facts({ gpus: 4, spot: true, image: `https://bob:pw@registry.example/x`, to: [token, "b"] });
    expect(shown).toEqual({
      gpus: 4,
      spot: true,
      image: "https://bob:[redacted]@registry.example/x",
      to: [expect.stringMatching(MARK), "b"],
    });
  });
});
