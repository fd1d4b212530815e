import { describe, expect, test } from "vitest";
import type { UpstreamCall } from "../../src/catalogue/types.ts";
import { requestDigest } from "../../src/gateway/request-digest.ts";

/**
 * The request digest is what a receipt, a grant and a stored outcome are found by: whatever of a request is sent has to be
 * in it. The table has one line per member of the call, by its type: a new member without a line does not compile.
 */
const CALL: UpstreamCall = {
  method: "POST",
  path: "/v1/workloads",
  query: [["a", "1"]],
  headers: { "x-variant": "one" },
  contentType: "application/json",
  body: '{"gpus":4}',
};

const OTHER: { readonly [Member in keyof Required<UpstreamCall>]: UpstreamCall[Member] } = {
  method: "PUT",
  path: "/v1/workloads/x",
  query: [["a", "2"]],
  headers: { "x-variant": "two" },
  contentType: "application/merge-patch+json",
  body: '{"gpus":5}',
};

const digest = requestDigest("acme", "agent:trainer", "workloads.submit", CALL);

describe("another request has another digest", () => {
  test.each(Object.entries(OTHER))("by its %s", (member, value) => {
    expect(requestDigest("acme", "agent:trainer", "workloads.submit", { ...CALL, [member]: value })).not.toBe(digest);
  });

  test.each([
    ["tenant", requestDigest("globex", "agent:trainer", "workloads.submit", CALL)],
    ["principal", requestDigest("acme", "agent:tuner", "workloads.submit", CALL)],
    ["action", requestDigest("acme", "agent:trainer", "workloads.resubmit", CALL)],
  ])("by its %s", (_, other) => {
    expect(other).not.toBe(digest);
  });

  test("and where one part runs into the next it is another still", () => {
    const split = (path: string, body: string): string =>
      requestDigest("acme", "agent:trainer", "workloads.submit", { ...CALL, path, body });
    expect(split("/v1/a", "b")).not.toBe(split("/v1/ab", ""));
    expect(requestDigest("acme", "agent:trainerx", "y", CALL)).not.toBe(
      requestDigest("acme", "agent:trainer", "xy", CALL),
    );
  });
});

test("the same request has the same digest, in whatever order its headers were rebuilt", () => {
  const [one, two] = [
    { a: "1", b: "2" },
    { b: "2", a: "1" },
  ];
  expect(requestDigest("acme", "agent:trainer", "x", { ...CALL, headers: one })).toBe(
    requestDigest("acme", "agent:trainer", "x", { ...CALL, headers: two }),
  );
});
