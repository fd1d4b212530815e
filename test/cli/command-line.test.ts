import { chmodSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { flat, jsonOf, runCli, scratchFile, widest } from "./run-cli.ts";
import { problemAnswer, startStubGate, STUB_KEY, whoami } from "./stub-gate.ts";

const A_KEY = `pcl_local_${"A".repeat(150)}_${"b".repeat(43)}_Zz09Aa`;

describe("a key never travels as an argument", () => {
  test.each([
    ["as the value of an option that looks right", ["whoami", "--key", A_KEY]],
    ["in the same word", ["whoami", `--key=${A_KEY}`]],
    ["under another name", ["whoami", "--api-key", "anything"]],
    ["as a token", ["whoami", "--token", "anything"]],
    ["where a file name belongs", ["whoami", "--key-file", A_KEY]],
    ["inside a text", ["freeze", "set", "--reason", `see ${A_KEY}`]],
  ])("%s", async (_, args) => {
    const ran = await runCli(args);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain("history");
    expect(flat(ran.stderr)).toContain("--key-file FILE");
    expect(flat(ran.stderr)).not.toContain(A_KEY.slice(0, 40));
  });

  test("a key file that holds something else is not quoted", async () => {
    const ran = await runCli(["whoami", "--key-file", scratchFile("key", "two words-of-a-secret-0123456789")]);
    expect(ran.code).toBe(2);
    expect(flat(ran.stderr)).not.toContain("words-of-a-secret");
  });
});

describe("server and key", () => {
  test("the key comes from --key-file before PORTCULLIS_KEY, the address from --url before PORTCULLIS_URL", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/whoami": { body: whoami() } });
    const key = scratchFile("key", "key-from-a-file-0123456789\n");
    const env = { PORTCULLIS_KEY: STUB_KEY, PORTCULLIS_URL: "http://127.0.0.1:1" };
    const ran = await runCli(["whoami", "--url", gate.url, "--key-file", key], { env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(gate.received[0]?.authorization).toBe("Bearer key-from-a-file-0123456789");
  });

  test.skipIf(process.platform === "win32")("a key file that others can read is warned about", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/whoami": { body: whoami() } });
    const key = scratchFile("key", STUB_KEY);
    chmodSync(key, 0o644);
    const ran = await runCli(["whoami", "--url", gate.url, "--key-file", key]);
    expect(ran.code).toBe(0);
    expect(flat(ran.stderr)).toContain("can be read by others (mode 644)");
  });

  test.each([
    ["plain http to another machine", "http://gate.example"],
    ["credentials in the address", "https://me:secret@gate.example"],
    ["a path", "https://gate.example/_gate/v1"],
    ["another scheme", "ftp://gate.example"],
    ["no address", "gate.example"],
  ])("%s is refused before anything is sent", async (_, url) => {
    const ran = await runCli(["whoami", "--url", url], { env: { PORTCULLIS_KEY: STUB_KEY } });
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain("--url");
    expect(flat(ran.stderr)).not.toContain("secret");
  });

  test("without a key the error says how to give one", async () => {
    const ran = await runCli(["whoami"]);
    expect(ran.code).toBe(2);
    expect(flat(ran.stderr)).toContain("PORTCULLIS_KEY");
  });

  test("a redirect is not followed: the key goes nowhere else", async () => {
    const elsewhere = await startStubGate({ "GET /_gate/v1/whoami": { body: whoami() } });
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": { status: 307, headers: { location: `${elsewhere.url}/_gate/v1/whoami` }, text: "moved" },
    });
    const ran = await runCli(["whoami"], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(elsewhere.received).toEqual([]);
  });
});

describe("what went wrong is said, without a stack", () => {
  test("a refusal: title, slug, detail, members that help, remedy", async () => {
    const window = { window: "2026-11-20", cap_micros: 500_000_000, settled_micros: 0, held_micros: 480_000_000 };
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": problemAnswer("budget-exceeded", 402, "The budget has no room for this request", {
        detail: "daily window is full",
        windows: [
          { ...window, requested_micros: 30_000_000, short_micros: 10_000_000, resets_at: "2026-11-21T00:00:00Z" },
        ],
        nearest: { tier: 2, facts: { gpus: 4 } },
      }),
    });
    const ran = await runCli(["whoami"], { env: gate.env });
    expect(ran).toMatchObject({ code: 1, stdout: "" });
    expect(flat(ran.stderr)).toContain("error: The budget has no room for this request (budget-exceeded, 402)");
    expect(flat(ran.stderr)).toContain("daily window is full");
    expect(ran.stderr).toMatch(/2026-11-20 +500\.00 +0\.00 +480\.00 +30\.00 +10\.00/);
    expect(ran.stderr).toMatch(/nearest +gpus = 4 \(tier 2\)/);
    expect(flat(ran.stderr)).toContain("ask finance for a higher cap");
    expect(widest(ran.stderr)).toBeLessThanOrEqual(80);
  });

  test("violations and the approval's id are shown", async () => {
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": problemAnswer("constraint-exceeded", 403, "Too much", {
        violations: [{ constraint: "max_gpus", limit: 64, actual: 128 }],
        approval: { id: "apr_9", state: "draft", missing: ["evidence"], expires_at: null },
      }),
    });
    const { stderr } = await runCli(["whoami"], { env: gate.env });
    expect(stderr).toMatch(/max_gpus +64 +128/);
    expect(stderr).toMatch(/approval id +apr_9/);
    expect(stderr).toMatch(/approval missing +evidence/);
  });

  test("under --json a refusal is one document on stdout, with the gate's own inside", async () => {
    const refusal = problemAnswer("frozen", 403, "Writes are frozen", { frozen_by: "person:sam" });
    const gate = await startStubGate({ "GET /_gate/v1/whoami": refusal });
    const ran = await runCli(["whoami", "--json"], { env: gate.env });
    expect(ran).toMatchObject({ code: 1, stderr: "" });
    expect(jsonOf(ran)).toMatchObject({
      error: { kind: "refused", title: "Writes are frozen", status: 403, problem: refusal.body },
    });
  });

  test("text of a refusal is inert", async () => {
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": problemAnswer("frozen", 403, "Frozen", { freeze_reason: "\u001b[2Jall fine\u202e" }),
    });
    const { stderr } = await runCli(["whoami"], { env: gate.env });
    expect(stderr).toContain("\\u{1b}[2Jall fine\\u{202e}");
  });

  test("nobody there", async () => {
    const ran = await runCli(["whoami"], { env: { PORTCULLIS_KEY: STUB_KEY, PORTCULLIS_URL: "http://127.0.0.1:1" } });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain("No answer from http://127.0.0.1:1");
  });

  test("something else there", async () => {
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": { status: 502, headers: { "content-type": "text/html" }, text: "<h1>Bad gateway</h1>" },
    });
    const ran = await runCli(["whoami"], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain("is not the gate");
  });

  test("a gate of another version", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/whoami": { body: { principal: 7 } } });
    const ran = await runCli(["whoami"], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain("another form than expected");
  });

  test.each([
    ["an unknown command", ["frobnicate"]],
    ["an unknown option", ["whoami", "--loud"]],
    ["too many arguments", ["whoami", "me"]],
    ["a group without a command", ["policy"]],
    ["nothing at all", []],
  ])("%s: exit code 2 and nothing on stdout", async (_, args) => {
    expect(await runCli(args)).toMatchObject({ code: 2, stdout: "" });
  });

  test("a usage error under --json is a JSON document too", async () => {
    const ran = await runCli(["whoami", "--loud", "--json"]);
    expect(ran).toMatchObject({ code: 2, stderr: "" });
    expect(jsonOf(ran)).toMatchObject({ error: { kind: "usage", title: "unknown option '--loud'" } });
  });

  test("help fits 80 columns and is no failure", async () => {
    for (const args of [["--help"], ["help", "approvals"], ["credentials", "create", "--help"]]) {
      const ran = await runCli(args);
      expect(ran).toMatchObject({ code: 0, stderr: "" });
      expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    }
  });
});
