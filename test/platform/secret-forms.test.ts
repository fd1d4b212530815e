import { afterEach, describe, expect, it, vi } from "vitest";
import { describeError } from "../../src/platform/describe-error.ts";
import { log } from "../../src/platform/log.ts";
import { holdsSecret } from "../../src/platform/secret-forms.ts";

/** Joined here, so that no scanner takes this file for a leak. */
const TOKEN = ["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"].join("");

describe("a name", () => {
  it.each([
    TOKEN,
    `agent:${TOKEN}`,
    ["eyJ", "hbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"].join(""),
    ["AKIA", "IOSFODNN7EXAMPLE"].join(""),
    ["sk-", "proj-Ab12Cd34Ef56Gh78"].join(""),
    "https://bob:hunter2@login.example",
    ["https://hooks.slack.com/services/", "T0/B0/abcdefghijklmnop"].join(""),
  ])("is none where it is a secret: %s", (text) => {
    expect(holdsSecret(text)).toBe(true);
  });

  it.each([
    "person:alice",
    "https://idp.example/|00u1a2b3c4d5e6f7g8h9",
    "8ae2c4f06d8b4f1d9c3e5a7b9d1f3a5c",
    "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "pk-train-2026-experiment-7",
    "sk-learn-training-job-0001",
    "pul-2026-11-20-resnet50",
    "/v1/workloads/123e4567-e89b-12d3-a456-426614174000/logs",
  ])("may be long and random, or begin like a key: %s", (text) => {
    expect(holdsSecret(text)).toBe(false);
  });
});

describe("what operators read", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("is one line of JSON without what looks like a secret, whatever a cause says", () => {
    const lines: unknown[] = [];
    vi.spyOn(console, "error").mockImplementation((line: unknown) => void lines.push(line));
    log("error", "outbox-job", {
      id: "look-up/req_0123456789abcdefghjkmnpqrs",
      cause: `no ${TOKEN}\n\u001b[31m`,
      attempts: 3,
    });
    expect(lines).toEqual([
      String.raw`{"level":"error","event":"outbox-job","id":"look-up/req_0123456789abcdefghjkmnpqrs","cause":"no [redacted]\n\u001b[31m","attempts":3}`,
    ]);
  });

  it.each([0, 150, 180, 190, 199])("has no part of a secret that begins at character %i of a cause", (before) => {
    const described = describeError(new Error("wrapped", { cause: new Error(`${"a ".repeat(before / 2)}${TOKEN}`) }));
    expect(described.length).toBeLessThanOrEqual(200);
    expect(described).not.toContain(TOKEN.slice(0, 6));
  });
});
