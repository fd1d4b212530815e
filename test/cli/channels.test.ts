import { Buffer } from "node:buffer";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { webhookSettings } from "../../src/notify/channels.ts";
import { runAtTerminal } from "./fake-terminal.ts";
import { flat, jsonOf, runCli, scratchFile, scratchFolder, widest } from "./run-cli.ts";
import { problemAnswer, startStubGate, type StubGate } from "./stub-gate.ts";

const PUT_WEBHOOK = "PUT /_gate/v1/channels/webhook";
const WEBHOOK = { name: "webhook", origin: "https://hooks.example" };
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const URL_ONLY = JSON.stringify({ url: "https://hooks.example/in" });

const gateWithChannels = (): Promise<StubGate> =>
  startStubGate({
    "GET /_gate/v1/channels": {
      body: { records: [{ name: "webhook", set_at: "2026-11-20T08:00:00.000Z" }], next_cursor: null },
    },
    "PUT /_gate/v1/channels/slack": { body: { name: "slack", team_id: "T0123" } },
    [PUT_WEBHOOK]: { body: WEBHOOK },
    "PUT /_gate/v1/channels/audit-webhook": { body: { ...WEBHOOK, name: "audit-webhook" } },
    "DELETE /_gate/v1/channels/webhook": { body: { name: "webhook", removed: true } },
    "DELETE /_gate/v1/channels/audit-webhook": { body: { name: "audit-webhook", removed: true } },
  });

/** The secret that reached the gate with the last settings. */
const secretSent = (gate: StubGate): string =>
  z.object({ secret: z.string() }).parse(gate.received.at(-1)?.body).secret;

describe("channels", () => {
  test("list shows what is set up and when; none is said", async () => {
    const gate = await gateWithChannels();
    const ran = await runCli(["channels", "list"], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^webhook {2}2026-11-20 08:00Z$/m);
    const none = await startStubGate({ "GET /_gate/v1/channels": { body: { records: [], next_cursor: null } } });
    expect((await runCli(["channels", "list"], { env: none.env })).stdout).toContain("No channel is set up");
    expect(jsonOf(await runCli(["channels", "list", "--json"], { env: none.env }))).toEqual({
      records: [],
      next_cursor: null,
    });
  });

  test("set-slack sends the settings of a file or of stdin, and repeats none of them", async () => {
    const gate = await gateWithChannels();
    const settings = { app_id: "A0123", team_id: "T0123", bot_token: "xoxb-1234567890" };
    const file = scratchFile("slack.json", JSON.stringify(settings));
    const fromFile = await runCli(["channels", "set-slack", file], { env: gate.env });
    const fromStdin = await runCli(["channels", "set-slack", "-", "--json"], {
      env: gate.env,
      input: JSON.stringify(settings),
    });
    expect([fromFile.code, fromStdin.code]).toEqual([0, 0]);
    expect(gate.received.map(({ body }) => body)).toEqual([settings, settings]);
    expect(fromFile.stdout).toContain("T0123");
    for (const { stdout, stderr } of [fromFile, fromStdin]) expect(stdout + stderr).not.toContain("xoxb");
  });

  test("set-audit-webhook makes a secret, sends it and shows it once; remove ends it", async () => {
    const gate = await gateWithChannels();
    const ran = await runCli(["channels", "set-audit-webhook", "-", "--json"], { env: gate.env, input: URL_ONLY });
    expect(ran.code).toBe(0);
    expect(gate.received.at(-1)).toMatchObject({ method: "PUT", target: "/_gate/v1/channels/audit-webhook" });
    expect(jsonOf(ran)).toEqual({ name: "audit-webhook", origin: "https://hooks.example", secret: secretSent(gate) });
    const removed = await runCli(["channels", "remove", "audit-webhook"], { env: gate.env });
    expect(removed.stdout).toContain("nothing is sent there any more");
    expect(gate.received.at(-1)).toMatchObject({ method: "DELETE", target: "/_gate/v1/channels/audit-webhook" });
  });

  test("remove forgets one of those that there are", async () => {
    const gate = await gateWithChannels();
    expect((await runCli(["channels", "remove", "webhook"], { env: gate.env })).code).toBe(0);
    expect((await runCli(["channels", "remove", "../policy"], { env: gate.env })).code).toBe(2);
    expect(gate.received.map(({ method, target }) => [method, target])).toEqual([
      ["DELETE", "/_gate/v1/channels/webhook"],
    ]);
  });

  test.each([
    ["no JSON", "url=https://hooks.example my-private-text"],
    ["no object", '["my-private-text"]'],
    ["a member twice", '{"url":"my-private-text","url":"x"}'],
    ["nothing", ""],
  ])("settings that are %s are refused without being repeated", async (_, input) => {
    const gate = await gateWithChannels();
    for (const command of ["set-slack", "set-webhook", "set-audit-webhook"]) {
      const ran = await runCli(["channels", command, "-"], { env: gate.env, input });
      expect(ran.code).toBe(2);
      expect(ran.stdout + ran.stderr).not.toContain("my-private-text");
    }
    expect(gate.received).toEqual([]);
  });

  test.each([[`{"url":"https://hooks.example","secret":"${SECRET}"}`], [SECRET], ["--secret=xoxb-1234567890"]])(
    "a secret among the arguments is refused and not repeated: %s",
    async (word) => {
      const gate = await gateWithChannels();
      const ran = await runCli(["channels", "set-webhook", word], { env: gate.env });
      expect(ran).toMatchObject({ code: 2, stdout: "" });
      expect(flat(ran.stderr)).toContain("history");
      expect(ran.stderr).not.toMatch(/whsec_|xoxb-/);
      expect(gate.received).toEqual([]);
    },
  );
});

describe("channels set-webhook", () => {
  test("sends a secret that is given, and makes and shows none", async () => {
    const gate = await gateWithChannels();
    const settings = { url: "https://hooks.example/in", secret: SECRET };
    const ran = await runCli(["channels", "set-webhook", "-"], { env: gate.env, input: JSON.stringify(settings) });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(gate.received[0]?.body).toEqual(settings);
    expect(ran.stdout).not.toContain("whsec_");
    expect(ran.stdout).toContain("https://hooks.example");
    const out = ["--out", join(scratchFolder(), "secret")];
    const odd = await runCli(["channels", "set-webhook", "-", ...out], {
      env: gate.env,
      input: JSON.stringify(settings),
    });
    expect(odd.code).toBe(2);
    expect(gate.received).toHaveLength(1);
  });

  test("without one makes one that the gate accepts, new each time, and shows it once to the person", async () => {
    const gate = await gateWithChannels();
    const run = () => runAtTerminal(["channels", "set-webhook", "-"], { env: gate.env, input: async () => URL_ONLY });
    const ran = await run();
    const made = secretSent(gate);
    expect(ran.code).toBe(0);
    expect(webhookSettings.safeParse(gate.received[0]?.body).success).toBe(true);
    expect(Buffer.from(made.replace("whsec_", ""), "base64")).toHaveLength(32);
    expect(ran.stdout.split("\n").filter((line) => line === made)).toHaveLength(1);
    expect(ran.stderr).not.toContain(made);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    await run();
    expect(secretSent(gate)).not.toBe(made);
  });

  test("--out writes the secret for its owner alone and nowhere else; --json puts it into the document", async () => {
    const gate = await gateWithChannels();
    const file = join(scratchFolder(), "hook.secret");
    const ran = await runCli(["channels", "set-webhook", "-", "--out", file], { env: gate.env, input: URL_ONLY });
    expect(ran.code).toBe(0);
    expect(ran.stdout + ran.stderr).not.toContain("whsec_");
    expect(readFileSync(file, "utf8")).toBe(`${secretSent(gate)}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const json = await runCli(["channels", "set-webhook", "-", "--json"], { env: gate.env, input: URL_ONLY });
    expect(jsonOf(json)).toEqual({ ...WEBHOOK, secret: secretSent(gate) });
  });

  test("where nobody would get the secret nothing is set, and a refusal leaves no file", async () => {
    const gate = await gateWithChannels();
    const piped = await runCli(["channels", "set-webhook", "-"], { env: gate.env, input: URL_ONLY });
    expect(piped.code).toBe(2);
    expect(flat(piped.stderr)).toContain("--out");
    expect(gate.received).toEqual([]);
    const refusing = await startStubGate({
      [PUT_WEBHOOK]: problemAnswer("malformed-request", 400, "No", { reason: "its origin is not among them" }),
    });
    const file = join(scratchFolder(), "hook.secret");
    const ran = await runCli(["channels", "set-webhook", "-", "--out", file], { env: refusing.env, input: URL_ONLY });
    expect(ran.code).toBe(1);
    expect(existsSync(file)).toBe(false);
  });
});
