import { afterEach, describe, expect, test, vi } from "vitest";
import { readRequest } from "../../src/gateway/read-request.ts";
import { bytesOf, incoming, JSON_TYPE, post, refusal } from "./incoming.ts";

const malformed = (reason: string) => ({ kind: "malformed-request", reason: expect.stringContaining(reason) });

describe("PAR-11: only application/json", () => {
  const refused = { kind: "unsupported-media-type", accepted: ["application/json"] };
  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json, text/x",
    "application/json, application/json",
    "application/json;charset=utf-16",
    "application/json; charset=utf-8; charset=utf-16",
    "application/json; profile=x",
    "application/json;",
    "application/vnd.x+json",
    "application/jsonp",
    "text/json",
    "json",
    "",
    "application/json\u00a0",
  ])("%j", async (type) => {
    const result = await refusal(post("{}", { "content-type": type }));
    expect(result).toMatchObject(type.endsWith("\u00a0") ? malformed("content-type") : refused);
  });

  test("none", async () => {
    expect(await refusal(post("{}", {}))).toMatchObject(refused);
  });

  test.each([
    "application/json",
    "APPLICATION/JSON",
    "application/json;charset=utf-8",
    'application/json ; charset="UTF-8"',
  ])("%j is accepted", async (type) => {
    expect((await readRequest(post("{}", { "content-type": type }))).ok).toBe(true);
  });
});

const utf16 = (text: string): Uint8Array => new Uint8Array(Uint16Array.from(text, (each) => each.charCodeAt(0)).buffer);

const raw = (...bytes: number[]): Uint8Array => new Uint8Array([...bytesOf('{"a":"'), ...bytes, ...bytesOf('"}')]);

describe("PAR-01 to PAR-10: a body that two parsers could read differently is refused", () => {
  test.each<[string, string | Uint8Array, string]>([
    ["PAR-01 a repeated name", '{"gpus":4,"gpus":128}', 'the member name is repeated (at "/gpus", offset 10)'],
    ["PAR-04 a byte order mark", "\uFEFF{}", "byte order mark"],
    ["PAR-04 UTF-16", utf16('{"a":1}'), "body:"],
    ["PAR-04 UTF-16 with its mark", new Uint8Array([0xff, 0xfe, ...utf16("{}")]), "not UTF-8"],
    ["PAR-05 an invalid byte", raw(0xff), "not UTF-8"],
    ["PAR-05 overlong UTF-8", raw(0xc0, 0xaf), "not UTF-8"],
    ["PAR-05 CESU-8", raw(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80), "not UTF-8"],
    ["PAR-05 a truncated character", raw(0xc3), "not UTF-8"],
    ["PAR-05 a lone surrogate", '{"a":"\\ud800"}', "lone surrogate"],
    ["PAR-06 an exponent", '{"gpus":1e9}', "exponent"],
    ["PAR-08 depth", `{"a":${"[".repeat(60_000)}`, "nested deeper than 32"],
    ["PAR-08 members", `{"a":[${"0,".repeat(1_000)}0]}`, "more than 1000 members"],
    ["PAR-09 two documents", "{}{}", "end of the text"],
    ["PAR-10 an array", "[{}]", "expected an object at the root"],
    ["PAR-10 a scalar", "4", "expected an object at the root"],
    ["PAR-10 null", "null", "expected an object at the root"],
    ["PAR-10 nothing", "", "empty although a Content-Type is stated"],
    ["PAR-10 white space", "  ", "the text ends"],
  ])("%s", async (_, body, reason) => {
    expect(await refusal(post(body))).toEqual(malformed(reason));
  });

  test("a refused body leaves the next one readable", async () => {
    expect(await refusal(post(raw(0xc3)))).toEqual(malformed("not UTF-8"));
    expect(await readRequest(post('{"a":"é"}'))).toMatchObject({ ok: true, value: { body: { a: "é" } } });
  });

  test("a client's own names are repeated only in part", async () => {
    const result = await refusal(post(`{"${"n".repeat(60_000)}":x}`));
    expect(JSON.stringify(result).length).toBeLessThan(400);
  });
});

const bodyOf = (bytes: number): string => `{"a":"${"x".repeat(bytes - 8)}"}`;

describe("PAR-13: bytes are counted, lengths are not believed", () => {
  const tooLarge = { kind: "payload-too-large", limit_bytes: 65_536 };
  test.each<[string, string, Record<string, string>, unknown]>([
    ["at the cap", bodyOf(65_536), {}, "accepted"],
    ["one byte more", bodyOf(65_537), {}, tooLarge],
    ["one byte more, stated", bodyOf(65_537), { "content-length": "65537" }, tooLarge],
    ["a large body stated as small", bodyOf(70_000), { "content-length": "4" }, tooLarge],
    ["a small body stated as large", "{}", { "content-length": "70000" }, tooLarge],
    ["a length that is not the real one", '{"a":1}', { "content-length": "8" }, malformed("7 bytes although")],
    ["a length without a body", "", { "content-length": "2" }, malformed("0 bytes although")],
    ["a length that is the real one", "{}", { "content-length": "2" }, "accepted"],
  ])("%s", async (_, text, headers, expected) => {
    expect(await refusal(post(text, { ...JSON_TYPE, ...headers }))).toEqual(expected);
  });

  test("an endless body is given up at the cap, and the client told so", async () => {
    const cancelled = vi.fn<() => void>();
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(8_192));
      },
      cancel: cancelled,
    });
    expect(await refusal(post(endless))).toEqual(tooLarge);
    expect(pulled).toBeLessThan(12);
    expect(cancelled).toHaveBeenCalledOnce();
  });

  test("a connection that breaks is no whole body", async () => {
    let pulled = false;
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulled) controller.error(new Error("Network connection lost."));
        else controller.enqueue(bytesOf('{"a":1}'));
        pulled = true;
      },
    });
    expect(await refusal(post(broken))).toEqual(malformed("ended early"));
  });

  describe("time", () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    test.each([
      ["silence", 0],
      ["a steady drip", 900],
    ])("%s ends at 10 s as 408, and the client is told so", async (_, everyMs) => {
      vi.useFakeTimers();
      const cancelled = vi.fn<() => void>();
      const slow = new ReadableStream<Uint8Array>({
        pull: (controller) =>
          new Promise((resolve) => {
            if (everyMs === 0) return;
            setTimeout(() => {
              controller.enqueue(bytesOf(" "));
              resolve();
            }, everyMs);
          }),
        cancel: cancelled,
      });
      const settled = vi.fn<(value: unknown) => void>();
      const reading = refusal(post(slow)).then(settled);
      await vi.advanceTimersByTimeAsync(9_999);
      expect(settled).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      await reading;
      expect(settled).toHaveBeenCalledWith({ kind: "request-timeout" });
      expect(cancelled).toHaveBeenCalledOnce();
    });

    test("no timer is left behind", async () => {
      vi.useFakeTimers();
      await readRequest(post("{}"));
      await readRequest(incoming({}));
      await refusal(post("x".repeat(70_000)));
      expect(vi.getTimerCount()).toBe(0);
    });
  });
});

describe("PAR-14: GET, HEAD and DELETE take no body", () => {
  test.each(["GET", "HEAD", "DELETE"])("%s", async (method) => {
    expect(await refusal(incoming({ method, headers: JSON_TYPE, body: "{}" }))).toEqual(malformed("takes none"));
    const stated = { "content-length": "2" };
    expect(await refusal(incoming({ method, headers: stated, body: "{}" }))).toEqual(malformed("takes none"));
    expect(await refusal(incoming({ method, headers: stated }))).toEqual(malformed("takes none"));
  });
});
