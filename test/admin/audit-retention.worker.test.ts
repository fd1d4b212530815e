import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { NOTICE_MS } from "../../src/audit/retention.ts";
import { AUDIT_LOGS } from "../../src/audit/tree-port.ts";
import { readVerifierKey } from "../../src/audit/signed-note.ts";
import { openNotes } from "../../src/audit/verify/checkpoints.ts";
import { ExportVerifier, type ExportReport } from "../../src/audit/verify/export.ts";
import { readManifest } from "../../src/audit/verify/manifest.ts";
import { list, member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { leafOf } from "../support/merkle.ts";
import { job, submit } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** A month later, as the security team meets it: lists, exports, proofs, and the verifier. */
const open = useBlackBox("audit-retention");
afterEach(() => void vi.useRealTimers());

const POLICY = `${ACME_POLICY}\naudit: { retain_days: 30 }\n`;
const DAY_MS = 86_400_000;
const EXPORT = "/_gate/v1/audit/export";
const security = ({ auditor }: Tenant, path: string): Promise<Answered> => auditor.get(path);
const linesOf = ({ text: file }: Answered): readonly string[] => file.split("\n").slice(0, -1);

const alarms = async (tenant: string): Promise<void> => {
  for (const log of AUDIT_LOGS.slice(1)) await runDurableObjectAlarm(testEnv.REQUEST_LOG.getByName(`${tenant}/${log}`));
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(tenant));
};

type Tenant = { readonly box: BlackBox; readonly auditor: Caller };
type Busy = Tenant & { readonly before: readonly string[]; readonly note: string; readonly key: string };

/** Two writes and a refusal, all signed, and an export of when they were new. */
async function busyTenant(policy: string): Promise<Busy> {
  const box = await open({ policy });
  // Those that a tenant begins with last a month.
  const claims = { subject: "person:auditor", class: "person", owner: "person:auditor", roles: ["security"] };
  const tenant = { box, auditor: await box.mint({ ...claims, expires_in_days: 90 }, "security") };
  const agent = await box.as("agent");
  for (const gpus of [1, 2]) expect(verdict(await submit(agent, job({ gpus })))).toBe("201");
  const checkpoint = () => security(tenant, "/_gate/v1/audit/checkpoint?log=ledger");
  await expect.poll(async () => (await checkpoint()).body).toMatchObject({ size: expect.any(Number) });
  const kept = await checkpoint();
  return {
    ...tenant,
    before: linesOf(await security(tenant, EXPORT)),
    note: text(kept, "note"),
    key: text(kept, "verifier_key"),
  };
}

/** Lets the gate's own time pass: so many days, and then as many hours as retention takes. */
async function pass(tenant: string, days: number): Promise<void> {
  moveClock(days * DAY_MS);
  for (let hour = 0; hour < 4; hour++) {
    for (let run = 0; run < 4; run++) {
      await alarms(tenant);
      moveClock(2_000);
    }
    moveClock(NOTICE_MS + MINUTE_MS);
  }
}

async function verified(lines: readonly string[], key: string, note: string): Promise<ExportReport> {
  const keyed = readVerifierKey(key);
  if (!keyed.ok) throw new Error(key);
  const outside = { source: "kept", text: note, from: "outside", name: keyed.value.name, log: "ledger" } as const;
  const { anchors, faults } = await openNotes([outside], [keyed.value]);
  const known = { manifestFault: null, carried: new Map(), statement: null, mayBePart: false };
  const verifier = new ExportVerifier({ manifest: readManifest(lines.at(-1) ?? ""), anchors, faults, ...known });
  for (const line of lines) verifier.take(line);
  return verifier.finish();
}
const findingsOf = ({ findings, logs }: ExportReport): readonly unknown[] => [
  ...findings,
  ...logs.flatMap((log) => log.findings),
];

test("a month later the texts are gone and nothing else: what was signed of them still holds, and is proved", async () => {
  const tenant = await busyTenant(POLICY);
  const { box, before, note, key } = tenant;
  await pass(box.tenant, 31);
  const after = linesOf(await security(tenant, EXPORT));
  const gone = after.filter((line) => line.startsWith('{"deleted":true'));
  expect(gone.length).toBeGreaterThan(5);
  for (const line of gone) {
    const { log, sequence, hash, leaf_hash: leaf } = JSON.parse(line);
    const original = before
      .map((one) => ({ one, ...JSON.parse(one) }))
      .find((one) => one.log === log && one.sequence === sequence);
    if (original === undefined) continue;
    expect([hash, leaf]).toEqual([original.hash, leafOf(original.one)]);
  }
  const report = await verified(after, key, note);
  expect(findingsOf(report)).toEqual([]);
  const ledger = report.logs.find(({ log }) => log === "ledger");
  expect(ledger?.anchors.map(([, judged]) => judged)).toContain("holds");
  expect(ledger?.deleted).toBeGreaterThan(5);
  expect(report.statement).toMatchObject({ retainDays: 30 });

  // The manifest counts them; the forms without a place for them leave them out.
  const manifest = await security(tenant, `${EXPORT}/manifest?format=csv`);
  expect(member(manifest, "manifest", "deleted")).toBeGreaterThanOrEqual(gone.length);
  const csv = await security(tenant, `${EXPORT}?format=csv&log=ledger`);
  expect([csv.status, csv.text.includes("deleted")]).toEqual([200, false]);
  expect((await security(tenant, `${EXPORT}?format=ocsf&log=ledger`)).status).toBe(200);

  // Lists do not have them, nor what asks for one of them; its proof is still there.
  const shown = await security(tenant, "/_gate/v1/audit?limit=500");
  expect(list(shown, "records").every((one) => JSON.stringify(one).includes('"time":'))).toBe(true);
  const first = JSON.parse(before.find((line) => line.includes('"log":"ledger"')) ?? "{}");
  expect(list(await security(tenant, `/_gate/v1/audit?request_id=${first.request_id}`), "records")).toEqual([]);
  const proof = await security(tenant, "/_gate/v1/audit/proof?log=ledger&seq=2");
  expect(text(proof, "leaf_hash")).toBe(
    JSON.parse(gone.find((line) => line.includes('"log":"ledger","sequence":2}')) ?? "{}").leaf_hash,
  );
});

test("under a legal hold everything is there, however old", async () => {
  const tenant = await busyTenant(`${ACME_POLICY}\naudit: { retain_days: 30, legal_hold: true }\n`);
  await pass(tenant.box.tenant, 80);
  const after = linesOf(await security(tenant, EXPORT));
  expect(after).toEqual(expect.arrayContaining(tenant.before.slice(0, -1)));
  expect(after.filter((line) => line.startsWith('{"deleted"'))).toEqual([]);
});
