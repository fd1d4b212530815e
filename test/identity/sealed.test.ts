import { describe, expect, test } from "vitest";
import { open, seal } from "../../src/identity/sealed.ts";
import { newSecret } from "./fixtures.ts";

const key = newSecret();
const context = "acme\nexample";
const credential = { token: "upstream-secret-\u{1F511}", user: "gate" };

describe("a sealed upstream credential", () => {
  test("opens with its key and context to what was sealed", async () => {
    const sealed = await seal(credential, key, context);
    expect(sealed).toMatch(/^v1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+$/);
    const opened = await open(sealed, key, context);
    expect(opened.ok && { ...opened.value }).toEqual(credential);
  });

  test("shows nothing of its content and is never sealed twice alike", async () => {
    const [one, two] = await Promise.all([seal(credential, key, context), seal(credential, key, context)]);
    expect(one).not.toBe(two);
    expect(Buffer.from(one.split(".")[2] ?? "", "base64url").includes("upstream")).toBe(false);
  });

  test("opens for no other tenant, no other control plane and no other key", async () => {
    const sealed = await seal(credential, key, context);
    for (const other of ["globex\nexample", "acme\nother", "acme", "", "acme\nexample "]) {
      expect((await open(sealed, key, other)).ok, other).toBe(false);
    }
    expect((await open(sealed, newSecret(), context)).ok).toBe(false);
  });

  test("does not open with any one bit changed", async () => {
    const sealed = await seal({ a: 1 }, key, context);
    const [version = "", iv = "", text = ""] = sealed.split(".");
    for (const [at, part] of [iv, text].entries()) {
      const bytes = Buffer.from(part, "base64url");
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Buffer.from(bytes);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const changed = flipped.toString("base64url");
        const whole = at === 0 ? [version, changed, text] : [version, iv, changed];
        expect((await open(whole.join("."), key, context)).ok, `part ${at} bit ${bit}`).toBe(false);
      }
    }
  });

  test("does not open in any other form", async () => {
    const sealed = await seal({ a: 1 }, key, context);
    const [, iv = "", text = ""] = sealed.split(".");
    const forms = ["", "v1", `v2.${iv}.${text}`, `v1.${iv}`, `v1.${iv}.`, `${sealed}=`, `${sealed}\n`, ` ${sealed}`];
    for (const form of [...forms, `v1.${iv}.${text}.${text}`, `v1.${iv.slice(1)}.${text}`, `v1.${iv}.AAAA`]) {
      expect((await open(form, key, context)).ok, JSON.stringify(form)).toBe(false);
    }
  });
});
