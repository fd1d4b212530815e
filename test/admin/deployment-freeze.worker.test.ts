import { afterEach, describe, expect, test } from "vitest";
import { ANSWER } from "../../src/admin/openapi/openapi-answers.ts";
import { openDatabase } from "../../src/db/client.ts";
import { deploymentFreeze, tenants } from "../../src/db/schema.ts";
import { verdict } from "../support/answer.ts";
import { ACME_POLICY, caller, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { openIsolate } from "../support/isolates.ts";
import { job, REASON, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** The owner of the deployment stops all tenants at once. */
const open = useBlackBox("deployment-freeze");
const inline = { policy: `${ACME_POLICY}\ndry_run: inline\n` };

const PATH = "/_gate/v1/deployment/freeze";
const owner = caller(testEnv.BOOTSTRAP_SECRET, "");

const freeze = (reason = "breach of the control plane") => owner.post(PATH, { reason });
const lift = () => owner.delete(PATH);
/** What was said is lost. */
const forget = () => openDatabase(testEnv.DB).delete(deploymentFreeze);
const submit = async (box: BlackBox, name: string) =>
  (await box.as("agent")).post(SUBMIT, job({ name, gpus: 1 }), REASON);

// The stores are this file's own, and what one test has frozen stays so.
afterEach(async () => void (await lift()));

describe("a freeze of everything", () => {
  test("stops every tenant from the next request on, those that are made meanwhile too, and lets them go on", async () => {
    const boxes = [await open(inline), await open(inline)];
    for (const [index, box] of boxes.entries()) expect(verdict(await submit(box, `before-${index}`))).toBe("201");
    const frozen = await freeze();
    expect(frozen.body).toMatchObject({
      frozen: true,
      reason: "breach of the control plane",
      failed: [],
      next_cursor: null,
    });
    expect(ANSWER.deploymentFreezeStep.parse(frozen.body)).toEqual(frozen.body);
    boxes.push(await open(inline));
    for (const box of boxes) {
      const answered = await submit(box, "during");
      expect(verdict(answered)).toBe("403 frozen");
      expect(answered.body).toMatchObject({
        scope: "everything",
        frozen_by: "deployment",
        freeze_reason: "breach of the control plane",
      });
      expect(verdict(await (await box.as("agent")).get(SUBMIT))).toBe("200");
      expect((await ledgerRecords(box.tenant)).filter((record) => record.reason_code === "frozen")).toMatchObject([
        { principal: "deployment", principal_class: "deployment", detail: "everything: breach of the control plane" },
      ]);
    }
    const shown = (await owner.get(PATH)).body;
    expect(shown).toMatchObject({ frozen: true, reason: "breach of the control plane" });
    expect(ANSWER.deploymentFreeze.parse(shown)).toEqual(shown);
    expect((await lift()).body).toMatchObject({ frozen: false, failed: [], next_cursor: null });
    boxes.push(await open(inline));
    for (const box of boxes) expect(verdict(await submit(box, "after"))).toBe("201");
    expect((await owner.get(PATH)).body).toMatchObject({ frozen: false });
  });

  test("is nobody's of a tenant: no role sets or lifts it, and without the secret nothing is said of it", async () => {
    const box = await open(inline);
    await freeze();
    for (const name of ["operator", "security", "finance"] as const) {
      const as = await box.as(name);
      expect(verdict(await as.post("/_gate/v1/freeze", { reason: "x", scope: "everything" }))).toBe("403 out-of-scope");
      expect(verdict(await as.delete("/_gate/v1/freeze?scope=everything"))).toBe("403 out-of-scope");
    }
    const strangers = [caller(null, ""), caller("guessed", ""), await box.as("security"), await box.as("agent")];
    for (const stranger of strangers) {
      for (const method of ["GET", "POST", "DELETE"])
        expect(verdict(await stranger.send(method, PATH, method === "POST" ? { reason: "x" } : undefined))).toBe(
          "401 unauthenticated",
        );
    }
    expect(verdict(await submit(box, "a"))).toBe("403 frozen");
    expect((await (await box.as("agent")).get("/_gate/v1/freeze")).body).toMatchObject({
      records: [{ scope: "everything", frozen_by: "deployment" }],
    });
  });

  test("leaves what tenants have frozen themselves as it is", async () => {
    const box = await open(inline);
    const security = await box.as("security");
    await security.post("/_gate/v1/freeze", { reason: "own" });
    await freeze();
    await lift();
    expect((await submit(box, "a")).body).toMatchObject({ scope: "tenant", freeze_reason: "own" });
    await security.delete("/_gate/v1/freeze");
    expect(verdict(await submit(box, "b"))).toBe("201");
  });

  test("said again changes nothing but what was missing; another reason is told to all", async () => {
    const box = await open(inline);
    const first = await freeze();
    const again = await freeze();
    expect(again.body).toMatchObject({ changed: 0, failed: [] });
    expect(Object(again.body)["since"]).toBe(Object(first.body)["since"]);
    expect((await freeze("worse than thought")).body).toMatchObject({ unchanged: 0 });
    expect((await submit(box, "a")).body).toMatchObject({ freeze_reason: "worse than thought" });
    expect(verdict(await lift())).toBe("200");
    expect((await lift()).body).toMatchObject({ changed: 0 });
  });

  test("names the tenants that could not be reached, and reaches them when it is said again", async () => {
    const [reached, lost] = [await open(inline), await open(inline)];
    const LEDGER = new Proxy(testEnv.LEDGER, {
      get: (target, member) =>
        member === "getByName"
          ? (name: string) =>
              name === lost.tenant
                ? { followDeployment: () => Promise.reject(new Error("unreachable")) }
                : target.getByName(name)
          : Reflect.get(target, member),
    });
    const half = await owner.through(openIsolate({ LEDGER }).entrance).post(PATH, { reason: "breach" });
    expect(half.body).toMatchObject({ failed: [lost.tenant] });
    expect(verdict(await submit(reached, "a"))).toBe("403 frozen");
    expect(verdict(await submit(lost, "a"))).toBe("201");
    expect((await freeze("breach")).body).toMatchObject({ changed: 1, failed: [] });
    expect(verdict(await submit(lost, "b"))).toBe("403 frozen");
  });

  test("is told and lifted also after what was said about it is lost", async () => {
    const box = await open(inline);
    for (const ours of ["first", "second", "third"]) {
      // However many orders a ledger has heard before, a row that begins anew is the newest word.
      await freeze(ours);
      await lift();
      await freeze(`${ours} again`);
      await forget();
      expect((await lift()).body).toMatchObject({ frozen: false, failed: [] });
      expect(verdict(await submit(box, ours))).toBe("201");
      await forget();
      expect((await freeze(ours)).body).toMatchObject({ frozen: true, failed: [] });
      expect(verdict(await submit(box, `${ours}-frozen`))).toBe("403 frozen");
    }
  });

  test("is not taken for done by a tenant that follows a newer word", async () => {
    const box = await open(inline);
    const { body } = await freeze();
    // A restored database says what was said before.
    await openDatabase(testEnv.DB).update(deploymentFreeze).set({ generation: 1, frozen: false, since: 1 });
    expect(Object(body)["failed"]).toEqual([]);
    expect((await lift()).body).toMatchObject({ failed: expect.arrayContaining([box.tenant]) });
    await freeze();
    expect((await lift()).body).toMatchObject({ failed: [] });
    expect(verdict(await submit(box, "a"))).toBe("201");
  });

  test("goes through many tenants page by page, and an older walk ends where something else was said", async () => {
    const mark = "page-";
    const rows = Array.from({ length: 120 }, (_, index) => ({
      id: `${mark}${String(index).padStart(3, "0")}`,
      upstreamCredential: "",
      createdAt: "",
      mac: "",
    }));
    for (let from = 0; from < rows.length; from += 20)
      await openDatabase(testEnv.DB)
        .insert(tenants)
        .values(rows.slice(from, from + 20));
    const first = await freeze();
    const cursor = String(Object(first.body)["next_cursor"]);
    expect(cursor).toMatch(/^[0-9]+\/page-/);
    const second = await owner.post(`${PATH}?cursor=${encodeURIComponent(cursor)}`, { reason: "ignored" });
    expect(second.body).toMatchObject({ next_cursor: null, reason: "breach of the control plane" });
    const count = (answered: typeof first): number => Number(Object(answered.body)["changed"]);
    const all = await openDatabase(testEnv.DB).select({ id: tenants.id }).from(tenants);
    expect(count(first) + count(second)).toBe(all.length);
    await lift();
    expect(verdict(await owner.post(`${PATH}?cursor=${encodeURIComponent(cursor)}`, { reason: "x" }))).toBe(
      "409 already-decided",
    );
    expect(verdict(await owner.post(`${PATH}?cursor=nonsense`, { reason: "x" }))).toBe("400 malformed-request");
    expect(verdict(await owner.post(PATH, {}))).toBe("400 malformed-request");
  });

  test("is said to nobody while D1 does not answer, and the caller hears so", async () => {
    const DB = new Proxy(testEnv.DB, {
      get: (target, member) =>
        member === "prepare"
          ? () => {
              throw new Error("D1 is down");
            }
          : Reflect.get(target, member),
    });
    const answered = await owner.through(openIsolate({ DB }).entrance).post(PATH, { reason: "x" });
    expect(verdict(answered)).toBe("503 unavailable");
    expect(answered.text).not.toContain("D1 is down");
  });
});
