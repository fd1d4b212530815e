import type { Anchor } from "./anchors.ts";
import { Findings, type Finding } from "./findings.ts";
import { readRecord, type PlacedRecord } from "./line.ts";
import type { Carried, LogReport } from "./log-report.ts";
import { LogVerifier } from "./log.ts";
import type { RetentionStatement } from "./retention-statement.ts";
import { isManifestLine, readManifest, readNext, type Manifest } from "./manifest.ts";

/** What is known of an export after its last line. */
export type ExportReport = {
  readonly manifest: Manifest | null;
  /** The manifest's, or else the first record's; null where there is neither. */
  readonly tenant: string | null;
  readonly lines: number;
  readonly records: number;
  readonly logs: readonly LogReport[];
  /** What concerns no single log. Its `log` is `export`. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** Where each log stands, by name. */
  readonly carried: ReadonlyMap<string, Carried>;
  /** The newest of retention's statements so far; null where none was seen. */
  readonly statement: RetentionStatement | null;
};

/** Something outside the records that cannot be believed, such as a checkpoint that nobody signed. */
export type Fault = { readonly log: string; readonly why: string };

/** What an export is checked against. `manifest`: its own last line, read beforehand; null where that is none. */
export type Expected = {
  readonly manifest: Manifest | null;
  readonly anchors: readonly Anchor[];
  readonly faults: readonly Fault[];
  /** Why the manifest's signature cannot be believed; null where it holds, or there is none that could be checked. */
  readonly manifestFault: string | null;
  readonly carried: ReadonlyMap<string, Carried>;
  readonly statement: RetentionStatement | null;
  /** Whether the file may be a part of an export: then it ends with where it is gone on with, and has no manifest. */
  readonly mayBePart: boolean;
};

/** A tenant has five logs. More than these are named, not followed: memory stays bounded whatever the file is. */
const LOGS_MAX = 64;

/** Checks an export line by line. Trusts nothing in it; needs neither gate nor network. */
export class ExportVerifier {
  readonly #expected: Expected;
  readonly #general = new Findings("export", []);
  readonly #logs = new Map<string, LogVerifier>();
  readonly #trailing = new Map<string, { readonly unreadable: number; readonly line: number }>();
  #tenant: string | null;
  #manifest: Manifest | null = null;
  #current: string | null = null;
  #lines = 0;
  #records = 0;
  #unreadable = 0;
  #next: string | null = null;
  #statement: RetentionStatement | null;

  constructor(expected: Expected) {
    this.#expected = expected;
    this.#tenant = expected.manifest?.tenant ?? null;
    this.#statement = expected.statement;
  }

  /** Takes the next line without its end; null for one that is no UTF-8 text, or longer than any record. */
  take(text: string | null): void {
    this.#lines += 1;
    if (text !== null && isManifestLine(text)) return this.#takeManifest(text);
    const next = text === null ? null : readNext(text);
    if (next !== null) {
      // Parts put together keep these lines. They prove nothing: whether the next part goes on shows in its records.
      this.#next = next;
      return;
    }
    const record = text === null ? null : readRecord(text);
    if (record === null) {
      this.#unreadable += 1;
      return;
    }
    this.#records += 1;
    this.#tenant ??= record.tenant;
    const log = this.#verifierOf(record.log);
    if (log === null)
      this.#general.add("inserted", null, null, this.#lines, `a record of one log more than ${LOGS_MAX}`);
    else if (record.tenant !== null && record.tenant !== this.#tenant)
      log.accuse("inserted", record.sequence, this.#lines, "a record of another tenant");
    else this.#takeRecord(log, record);
  }

  #takeManifest(text: string): void {
    const manifest = readManifest(text);
    if (this.#manifest !== null) this.#general.add("inserted", null, null, this.#lines, "a second manifest");
    else if (manifest === null)
      this.#general.add("edited", null, null, this.#lines, "the manifest has not the form of one");
    else {
      this.#manifest = manifest;
      const fault = this.#expected.manifestFault;
      if (fault !== null)
        this.#general.add("edited", null, null, this.#lines, `the manifest is not the one that was signed: ${fault}`);
    }
  }

  #takeRecord(log: LogVerifier, record: PlacedRecord): void {
    if (this.#manifest !== null)
      this.#general.add("reordered", null, null, this.#lines, "the manifest is not the last line");
    const before = this.#current;
    if (before !== null && before !== record.log) {
      this.#leave(before);
      if (record.log < before || log.last > 0)
        log.accuse("reordered", record.sequence, this.#lines, `its log belongs before ${before}`);
    }
    this.#current = record.log;
    log.take(record, this.#lines, this.#unreadable);
    this.#takeStatement(log, record);
    this.#unreadable = 0;
  }

  /** The newest statement of retention speaks of all logs. One that is not what was hashed says nothing. */
  #takeStatement(log: LogVerifier, { statement, fault, sequence }: PlacedRecord): void {
    if (statement === null || fault !== null) return;
    if (!statement.isOldEnough)
      log.accuse("deleted", sequence, this.#lines, "it says that texts go which are younger than its own retention");
    if (this.#statement === null || this.#statement.sequence < sequence) this.#statement = statement;
  }

  /** Lines that are no records belong to the log that they stand in. */
  #leave(log: string): void {
    const { unreadable } = this.#trailing.get(log) ?? { unreadable: 0 };
    this.#trailing.set(log, { unreadable: unreadable + this.#unreadable, line: this.#lines });
    this.#unreadable = 0;
  }

  #verifierOf(log: string): LogVerifier | null {
    const known = this.#logs.get(log);
    if (known !== undefined) return known;
    if (this.#logs.size >= LOGS_MAX) return null;
    const { manifest, anchors, carried } = this.#expected;
    const made = new LogVerifier(
      log,
      manifest?.logs.find((one) => one.log === log) ?? null,
      carried.get(log) ?? null,
      anchors.filter((anchor) => anchor.log === log),
    );
    this.#logs.set(log, made);
    return made;
  }

  /** All lines have come. */
  finish(): ExportReport {
    const manifest = this.#manifest;
    const ended = this.#current === null ? "" : `${this.#current}:${this.#logs.get(this.#current)?.last}`;
    const isPart = this.#expected.mayBePart && manifest === null && this.#next === ended;
    if (this.#current === null && this.#unreadable > 0)
      this.#general.add("inserted", null, null, 1, "lines that are no audit records");
    if (this.#current !== null) this.#leave(this.#current);
    for (const { log, why } of this.#expected.faults) this.#verifierOf(log)?.accuse("edited", null, null, why);
    // Logs of which nothing is there any more.
    for (const { log } of [...(manifest?.logs ?? []), ...this.#expected.anchors]) this.#verifierOf(log);
    const names = [...this.#logs.keys()].toSorted();
    const logs = names.flatMap((name) => {
      const { unreadable, line } = this.#trailing.get(name) ?? { unreadable: 0, line: this.#lines };
      const verifier = this.#logs.get(name);
      return verifier === undefined ? [] : [verifier.finish(manifest, isPart, unreadable, line, this.#statement)];
    });
    const counted = logs.reduce((sum, { findingCount }) => sum + findingCount, this.#general.count);
    const isWhole = manifest !== null && this.#expected.carried.size === 0;
    if (isWhole && counted === 0 && manifest.count !== this.#records)
      this.#general.add(
        "edited",
        null,
        null,
        this.#lines,
        `the manifest counts ${manifest.count} records, there are ${this.#records}`,
      );
    if (manifest === null && logs.length === 0)
      this.#general.add("truncated", null, null, null, "there is neither a record nor a manifest");
    return {
      manifest,
      tenant: this.#tenant,
      lines: this.#lines,
      records: this.#records,
      logs,
      findings: this.#general.listed,
      findingCount: this.#general.count,
      statement: this.#statement,
      carried: new Map(
        [...this.#logs].flatMap(([name, log]) => {
          const carried = log.carried();
          return carried === null ? [] : [[name, carried] as const];
        }),
      ),
    };
  }
}
