import { FINDINGS_LISTED, type Finding } from "../../audit/verify/findings.ts";
import type { FoundNote } from "../../audit/verify/checkpoints.ts";
import type { ExportReport } from "../../audit/verify/export.ts";
import type { ManifestSignature } from "../../audit/verify/manifest-signature.ts";
import type { LogReport } from "../../audit/verify/log-report.ts";
import { toBase64 } from "../../platform/base64.ts";
import type { JsonObject } from "../../platform/json.ts";
import type { Outcome } from "../command.ts";
import { plural } from "../documents.ts";
import { EXIT } from "../failure.ts";
import { table, text, type Block, type Cell } from "../print.ts";

/**
 * An export that was read to its end. `unchecked`: checkpoints that it brings and for which no key was given. `signature`: its
 * manifest's, null where it has no manifest.
 */
export type VerifiedFile = {
  readonly name: string;
  readonly report: ExportReport;
  readonly unchecked: readonly FoundNote[];
  readonly signature: ManifestSignature | null;
};

/** What `audit verify` has to say: the last file is the export that was asked about, those before it came by `--previous`. */
export function verified(files: readonly VerifiedFile[]): Outcome {
  const documents = files.map(documentOf);
  const isOk = files.every(({ report }) => countOf(report) === 0);
  const [asked] = documents.toReversed();
  return {
    json: { ok: isOk, ...asked, previous: documents.slice(0, -1) },
    human: files.flatMap((file) => [...blocksOf(file, files.length > 1)]),
    exitCode: isOk ? EXIT.done : EXIT.failed,
  };
}

const deletedOf = ({ logs }: ExportReport): number => logs.reduce((sum, { deleted }) => sum + deleted, 0);

/** Nobody should take a hash for a text. */
const withoutText = (report: ExportReport): string =>
  deletedOf(report) === 0 ? "" : `, of ${deletedOf(report)} only the hashes`;

const countOf = ({ logs, findingCount }: ExportReport): number =>
  logs.reduce((sum, log) => sum + log.findingCount, findingCount);
const findingsOf = ({ logs, findings }: ExportReport): readonly Finding[] => [
  ...findings,
  ...logs.flatMap((log) => log.findings),
];

/** Up to here a signature speaks of these records, and nothing from outside of others. */
function signedTo(file: VerifiedFile, log: LogReport): number {
  const { manifest } = file.report;
  // The chain leads from the hash that was signed to every record before it.
  const stated = file.signature?.kind === "holds" ? manifest?.logs.find((one) => one.log === log.log) : undefined;
  const isWhole = countOf(file.report) === 0 && log.last !== null && stated?.last_sequence === log.last;
  return isWhole ? log.last : checkpointedTo(log);
}

function checkpointedTo({ anchors }: LogReport): number {
  const checkpoints = checkpointsOf(anchors);
  const denied = Math.min(...anchors.map(([{ size }, verdict]) => (verdict === "differs" ? size : Infinity)));
  return Math.max(0, ...checkpoints.map(([{ size }, verdict]) => (verdict === "holds" && size < denied ? size : 0)));
}

const checkpointsOf = (anchors: LogReport["anchors"]): LogReport["anchors"] =>
  anchors.filter(([{ kind }]) => kind === "checkpoint");

function documentOf(file: VerifiedFile): JsonObject {
  const { name, report } = file;
  const { manifest, records, logs } = report;
  return {
    file: name,
    tenant: manifest?.tenant ?? report.tenant,
    since: manifest?.since ?? null,
    until: manifest?.until ?? null,
    manifest_signature: file.signature?.kind ?? null,
    records,
    deleted: deletedOf(report),
    retention:
      report.statement === null
        ? null
        : {
            sequence: report.statement.sequence,
            retain_days: report.statement.retainDays,
            older_than: report.statement.olderThan,
          },
    finding_count: countOf(report),
    findings: findingsOf(report).map(({ log, what, first, last, line, why }) => ({
      log,
      what,
      first_sequence: first,
      last_sequence: last,
      line,
      why,
    })),
    logs: logs.map((log) => ({
      log: log.log,
      records: log.records,
      deleted: log.deleted,
      first_sequence: log.first,
      last_sequence: log.last,
      from_start: log.fromStart,
      root: log.root === null ? null : toBase64(log.root),
      signed_to: signedTo(file, log),
      finding_count: log.findingCount,
      checkpoints: checkpointsOf(log.anchors).map(([{ source, size }, verdict]) => ({ source, size, verdict })),
    })),
    notes: [...remarks(file)],
  };
}

function blocksOf(file: VerifiedFile, isNamed: boolean): readonly Block[] {
  const { name, report } = file;
  const count = countOf(report);
  const found = findingsOf(report);
  const hidden = count - found.length;
  return [
    ...(isNamed ? [text({ text: name, style: "strong" })] : []),
    table(
      [
        { title: "log" },
        { title: "records", align: "right" },
        { title: "sequence" },
        { title: "signed to", align: "right" },
        { title: "checkpoints" },
        { title: "result" },
      ],
      report.logs.map((log) => logRow(file, log)),
    ),
    ...(found.length === 0
      ? []
      : [
          table(
            [
              { title: "what" },
              { title: "log" },
              { title: "sequence" },
              { title: "line", align: "right" },
              { title: "why" },
            ],
            found.map(findingRow),
          ),
        ]),
    ...(hidden === 0 ? [] : [text(`${plural(hidden, "more finding")}: ${FINDINGS_LISTED} of each log are listed.`)]),
    ...remarks(file).map((remark) => text({ text: remark, style: "warn" })),
    text(
      count === 0
        ? {
            text: `${name}: ${plural(report.records, "record")}${withoutText(report)}, nothing is wrong with what could be checked`,
            style: "good",
          }
        : {
            text: `${name}: ${plural(count, "finding")} in ${plural(report.records, "record")}${withoutText(report)}`,
            style: "bad",
          },
    ),
  ];
}

function logRow(file: VerifiedFile, log: LogReport): readonly Cell[] {
  const checkpoints = checkpointsOf(log.anchors);
  const holding = checkpoints.filter(([, verdict]) => verdict === "holds").length;
  const signed = signedTo(file, log);
  return [
    log.log,
    String(log.records),
    rangeText(log.first, log.last),
    signed === 0 ? "–" : String(signed),
    checkpoints.length === 0 ? "none" : `${holding} of ${checkpoints.length} hold`,
    log.findingCount === 0
      ? { text: "holds", style: "good" }
      : { text: plural(log.findingCount, "finding"), style: "bad" },
  ];
}

const findingRow = ({ what, log, first, last, line, why }: Finding): readonly Cell[] => [
  { text: what, style: "bad" },
  log,
  rangeText(first, last),
  line === null ? "–" : String(line),
  why,
];

function rangeText(first: number | null, last: number | null): string {
  if (first === null || last === null) return "–";
  return first === last ? String(first) : `${first} to ${last}`;
}

/** What could not be checked, plainly: nobody should take silence for proof. */
function remarks(file: VerifiedFile): readonly string[] {
  const { report, unchecked, signature } = file;
  const { manifest, tenant, logs } = report;
  return [
    ...(signature?.kind === "missing"
      ? ["The manifest has no signature: whether records are missing at the end of a log, only checkpoints can tell."]
      : []),
    ...(signature?.kind === "no-key"
      ? [`No key is given for ${tenant}: the manifest's signature was not checked.`]
      : []),
    ...logs.flatMap((log) => deletionRemark(file, log)),
    ...unchecked.map(({ name }) => `No key is given for ${name}: its checkpoint was not checked.`),
    ...logs.flatMap((log) => remarksOn(file, log)),
    ...logs.flatMap(({ log, last, anchors }) =>
      anchors.some(([{ size }, verdict]) => verdict === "not-covered" && size > (last ?? 0)) && manifest !== null
        ? [`The export ends at ${manifest.until}: checkpoints of ${log} with more records could not be checked.`]
        : [],
    ),
  ];
}

/** Of what is gone nothing but its place and its hashes can be checked. */
function deletionRemark({ report }: VerifiedFile, { log, deleted, uncheckedDeletion }: LogReport): readonly string[] {
  if (deleted === 0) return [];
  const days = report.statement === null ? "" : ` after ${report.statement.retainDays} days`;
  const told = `${log}: ${plural(deleted, "record")} deleted by retention${days}: place and hashes are there, texts are not.`;
  return uncheckedDeletion === null ? [told] : [told, uncheckedDeletion];
}

function remarksOn(file: VerifiedFile, log: LogReport): readonly string[] {
  const { unchecked } = file;
  if (log.last === null) return [];
  if (signedTo(file, log) === log.last) return [];
  if (!log.fromStart)
    return [
      `${log.log} begins at sequence ${log.first}: only hashes and chain could be checked. With --previous and the exports before it, checkpoints can be.`,
    ];
  const signed = checkpointedTo(log);
  const younger = checkpointsOf(log.anchors).find(([{ from }, verdict]) => verdict === "beyond" && from === "manifest");
  if (younger !== undefined && log.findingCount === 0)
    return [
      `${log.log}: ${younger[0].source} is younger than its last record (${log.last}), so it could not be checked; one kept from before can be.`,
    ];
  if (log.findingCount > 0 || signed >= log.last || unchecked.some((note) => note.log === log.log)) return [];
  if (signed === 0) return [`${log.log} has no checkpoint: that it was not rewritten whole could not be checked.`];
  return [
    `${log.log}: the records after ${signed} are newer than every checkpoint; only hashes and chain were checked.`,
  ];
}
