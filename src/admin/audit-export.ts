import { EXPORT_FORMS } from "../audit/export-lines.ts";
import { exportStream, type ExportPlace } from "../audit/export-stream.ts";
import {
  AUDIT_EXPORT_FORMATS,
  manifestJson,
  statedJson,
  type AuditExportFormat,
  type ManifestLog,
  type SignedManifest,
} from "../audit/manifest.ts";
import { signManifest } from "../audit/manifest-note.ts";
import { AUDIT_LOGS, auditTreeOf } from "../audit/tree-port.ts";
import { auditRunPage, auditRuns, auditSummary } from "../db/audit-runs.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { readTimeRange } from "./audit-query.ts";
import { queryValue, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** Records asked of D1 at once: ≈ 300 KB; 10 MB where every one is full of evidence. */
const PAGE_RECORDS = 200;

/**
 * Records of one answer: 500 questions to D1, of the 1,000 that a request may ask, and a few seconds of CPU. An answer that ends here
 * says where to go on.
 */
const RECORDS_MAX = 100_000;

const LOG = /^[a-z][a-z0-9-]{0,31}$/;
const AFTER = /^([a-z][a-z0-9-]{0,31}):(0|[1-9][0-9]{0,14})$/;
const KEYS = ["format", "since", "until", "log"];

/** The tenant's records as a file, and what such a file consists of (wire contract, section 7). */
export const auditExportRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/audit/export", roles: ["security"], handle: exportRecords },
  { method: "GET", path: "/_gate/v1/audit/export/manifest", roles: ["security"], handle: answerManifest },
];

async function exportRecords(call: AdminCall): Promise<AdminAnswer> {
  const asked = readExport(call, [...KEYS, "after"]);
  if (!asked.ok) return asked.error;
  const { format, after } = asked.value;
  const { tenant } = call.principal;
  const body = await exportStream(
    await manifestOf(call, asked.value),
    after,
    (run, place, limit) => auditRunPage(call.gate.env.DB, tenant, run, place, limit),
    { pageRecords: PAGE_RECORDS, records: RECORDS_MAX },
  );
  const { contentType } = EXPORT_FORMS[format];
  return { kind: "file", contentType, fileName: `audit-${tenant}.${ENDINGS[format]}`, body };
}

const ENDINGS: Readonly<Record<AuditExportFormat, string>> = { ndjson: "ndjson", csv: "csv", ocsf: "ocsf.ndjson" };

async function answerManifest(call: AdminCall): Promise<AdminAnswer> {
  const asked = readExport(call, KEYS);
  return asked.ok ? json(manifestJson(await manifestOf(call, asked.value))) : asked.error;
}

type Asked = {
  readonly format: AuditExportFormat;
  readonly since: string | null;
  readonly until: string;
  readonly log: string | null;
  readonly after: ExportPlace | null;
};

function readExport({ strict, trail }: AdminCall, keys: readonly string[]): Result<Asked, AdminAnswer> {
  const unknown = unknownQuery(strict, keys);
  if (unknown !== null) return err(refuse(unknown));
  const written = queryValue(strict, "format") ?? "ndjson";
  const format = AUDIT_EXPORT_FORMATS.find((one) => one === written);
  if (format === undefined) return err(malformed(`query: format is one of ${AUDIT_EXPORT_FORMATS.join(", ")}`));
  const range = readTimeRange(strict);
  if (!range.ok) return err(malformed(range.error));
  const log = queryValue(strict, "log");
  if (log !== null && !LOG.test(log)) return err(malformed("query: log is the name of a log, such as ledger"));
  const place = queryValue(strict, "after");
  const [, afterLog = "", sequence = ""] = place === null ? [] : (AFTER.exec(place) ?? []);
  if (place !== null && afterLog === "")
    return err(malformed("query: after is the place of the last record had, such as ledger:1200"));
  return ok({
    format,
    since: range.value.since,
    // One end for the whole export: what comes in while it is read belongs to the next.
    until: range.value.until ?? new Date(trail.receivedAt).toISOString(),
    log,
    after: place === null ? null : { log: afterLog, sequence: Number(sequence) },
  });
}

async function manifestOf(call: AdminCall, { format, since, until, log }: Asked): Promise<SignedManifest> {
  const { gate, principal, trail } = call;
  const { tenant } = principal;
  const d1 = gate.env.DB;
  // Signed before the ends of the logs are looked up: what is signed is then in the export.
  if (Date.parse(until) >= trail.receivedAt) await signLogs(call, log);
  const runs = await auditRuns(d1, tenant, { since, until, log });
  const logs = await Promise.all(
    runs.map(async (run): Promise<ManifestLog> => ({
      ...(await auditSummary(d1, tenant, run)),
      ...(await checkpointOf(call, run)),
    })),
  );
  const stated = { tenant, format, since, until, generatedAt: new Date(trail.receivedAt).toISOString(), logs };
  const { rawPublicKey: publicKey, privateKey } = gate.keys.checkpoint;
  return { ...stated, signature: await signManifest(tenant, statedJson(stated), { publicKey, privateKey }) };
}

/** Has the logs signed as they stand. One that cannot be is exported all the same, with what was signed of it before. */
async function signLogs({ gate, principal }: AdminCall, log: string | null): Promise<void> {
  const names = AUDIT_LOGS.filter((name) => log === null || log === name);
  await Promise.allSettled(names.map((name) => auditTreeOf(gate.env, principal.tenant, name).checkpoint()));
}

/** The newest checkpoint that the run's records reach, and what it verifies with; nulls where none is kept. */
async function checkpointOf(
  { gate, principal }: AdminCall,
  { log, last }: Pick<ManifestLog, "log" | "last">,
): Promise<Pick<ManifestLog, "checkpoint" | "verifierKey">> {
  const signed = AUDIT_LOGS.includes(log)
    ? await auditTreeOf(gate.env, principal.tenant, log).checkpointUpTo(last)
    : null;
  return { checkpoint: signed?.note ?? null, verifierKey: signed?.verifierKey ?? null };
}
