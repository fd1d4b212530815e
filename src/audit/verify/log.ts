import { GENESIS } from "../journal.ts";
import { Anchors, type Anchor } from "./anchors.ts";
import { CompactRange } from "./compact-range.ts";
import { DeletedPrefix } from "./deleted-prefix.ts";
import { Findings, type Finding } from "./findings.ts";
import { compareWithManifest } from "./compare-with-manifest.ts";
import { Gaps, type Gap } from "./gaps.ts";
import { judgeDeletion } from "./judge-deletion.ts";
import type { PlacedRecord } from "./line.ts";
import { isBounded, type Manifest, type ManifestLog } from "./manifest.ts";
import type { Carried, LogReport } from "./log-report.ts";
import { Marks } from "./marks.ts";
import type { RetentionStatement } from "./retention-statement.ts";

/** What makes records of one sequence more than one: kept few, since each is named anyway. */
const TWINS_MAX = 8;

/** `isNamed`: something is wrong with its own hash, which says enough. */
type Head = { readonly sequence: number; readonly hashes: readonly string[]; readonly isNamed: boolean };

/**
 * Checks the records of one log as they come, in memory that does not grow with their number: each one's own hash, that each
 * is chained to the one before, that none is missing, repeated or out of order, and that all are those that anchors speak of.
 */
export class LogVerifier {
  readonly #findings: Findings;
  readonly #anchors: Anchors;
  readonly #gaps = new Gaps();
  readonly #log: string;
  readonly #expected: ManifestLog | null;
  readonly #carried: Carried | null;
  #records = 0;
  #first: number | null = null;
  #fromStart = false;
  #resumes = false;
  #head: Head | null = null;
  /** A record that its successor does not name, until it is sure that the successor is no twin. */
  #unnamed: (Head & { readonly line: number }) | null = null;
  #tree: CompactRange | null = null;
  #prefix = new DeletedPrefix();
  readonly #marks = new Marks();

  /** `expected`: what the export's manifest says of this log. `carried`: where an earlier export of it ended. */
  constructor(log: string, expected: ManifestLog | null, carried: Carried | null, anchors: readonly Anchor[]) {
    this.#log = log;
    this.#expected = expected;
    this.#carried = carried;
    this.#anchors = new Anchors(anchors);
    this.#findings = new Findings(log, this.#anchors.sizes);
  }

  /** The last sequence so far, 0 before any. */
  get last(): number {
    return this.#head?.sequence ?? 0;
  }

  /** Takes the next record. `unreadable`: lines before it that are none. */
  take(record: PlacedRecord, line: number, unreadable: number): void {
    this.#records += 1;
    const { sequence, fault } = record;
    const head = this.#head ?? this.#begin(record, line);
    const next = head.sequence + 1;
    this.#garbled(next, Math.min(unreadable, Math.max(0, sequence - next)), unreadable, line);
    if (fault !== null) this.accuse("edited", sequence, line, fault);
    if (!this.#prefix.take(record)) this.accuse("deleted", sequence, line, NOT_FIRST);
    if (sequence < next) return this.#takeEarlier(record, line);
    this.#nameUnnamed();
    const from = Math.min(next + unreadable, sequence);
    if (sequence > from) {
      const hashBefore = unreadable > 0 ? null : (head.hashes[0] ?? null);
      this.#open({ first: from, last: sequence - 1, hashBefore, previousHashAfter: record.previousHash });
    } else if (sequence === next && fault === null && !head.isNamed && !names(record, head.hashes)) {
      this.#unnamed = { ...head, line };
    }
    this.#head = { sequence, hashes: [record.hash], isNamed: fault !== null };
    this.#marks.add(sequence, record.hash);
    this.#grow(record);
    this.#anchors.pass(sequence, record.hash, this.#tree);
  }

  /** Lines that are no records, where records of this log belong; `missing` of them stand in the place of one. */
  #garbled(next: number, missing: number, unreadable: number, line: number): void {
    if (missing > 0)
      this.#findings.add("edited", next, next + missing - 1, line - unreadable, "the line is no audit record");
    const beside = Math.max(1, next - 1);
    if (unreadable > missing)
      this.#findings.add(
        "inserted",
        beside,
        beside,
        line - unreadable + missing,
        "a line beside it is no audit record",
      );
  }

  /** Names something wrong with the record at this place that shows outside its log. */
  accuse(what: Finding["what"], sequence: number | null, line: number | null, why: string): void {
    this.#findings.add(what, sequence, sequence, line, why);
  }

  /** The first record to come. Returns what it follows: what is wrong with its beginning has been named then. */
  #begin(record: PlacedRecord, line: number): Head {
    const { sequence, previousHash, fault } = record;
    this.#resumes = this.#carried !== null && this.#carried.last + 1 === sequence;
    const first = this.#resumes ? sequence : Math.min(this.#expected?.first_sequence ?? sequence, sequence);
    this.#first = first;
    this.#fromStart = first === 1;
    if (first === 1) this.#tree = new CompactRange();
    const earlier = this.#carried !== null && first > 1 && this.#carried.last + 1 === first ? this.#carried : null;
    if (earlier !== null) {
      this.#prefix = new DeletedPrefix(earlier.prefix);
      this.#tree = earlier.tree === null ? null : new CompactRange(earlier.tree);
      this.#fromStart = earlier.tree !== null;
      this.#anchors.pass(earlier.last, earlier.hash, this.#tree);
    }
    const stated = this.#expected?.first_sequence === first ? this.#expected.first_previous_hash : null;
    const before = first === 1 ? GENESIS : (earlier?.hash ?? stated);
    if (sequence > first) return { sequence: first - 1, hashes: before === null ? [] : [before], isNamed: false };
    if (fault === null && before !== null && previousHash !== null && previousHash !== before) {
      if (earlier === null) this.accuse("edited", first, line, "it is not chained to what comes before the export");
      else this.accuse("forked", first, line, "it does not continue the earlier export");
    } else if (fault === null && stated !== null && previousHash !== null && stated !== previousHash) {
      this.accuse("edited", first, line, "it is not what the manifest says the export begins with");
    }
    return { sequence: first - 1, hashes: previousHash === null ? [] : [previousHash], isNamed: false };
  }

  #takeEarlier(record: PlacedRecord, line: number): void {
    const { sequence, hash, fault } = record;
    const head = this.#head;
    if (this.#first !== null && sequence < this.#first) {
      this.#open({ first: sequence, last: this.#first - 1, hashBefore: null, previousHashAfter: null });
      this.#first = sequence;
    }
    const gap = this.#gaps.fill(record);
    if (gap !== null) {
      this.accuse("reordered", sequence, line, "it comes after later ones");
      if (gap.first === sequence && gap.hashBefore !== null && !names(record, [gap.hashBefore]) && fault === null)
        this.accuse("edited", sequence - 1, line, CHAIN);
      if (gap.last === sequence && gap.previousHashAfter !== null && gap.previousHashAfter !== hash)
        this.accuse("edited", sequence, line, CHAIN);
      return;
    }
    this.accuse("inserted", sequence, line, "its sequence stands there more than once");
    if (head?.sequence !== sequence) return;
    if (this.#unnamed !== null && names(record, this.#unnamed.hashes)) this.#unnamed = null;
    if (head.hashes.length < TWINS_MAX) this.#head = { ...head, hashes: [...head.hashes, hash] };
  }

  /** The successor of a record has come and gone without naming it. */
  #nameUnnamed(): void {
    if (this.#unnamed !== null) this.accuse("edited", this.#unnamed.sequence, this.#unnamed.line, CHAIN);
    this.#unnamed = null;
  }

  #open(gap: Gap): void {
    const given = this.#gaps.open(gap);
    if (given !== null) this.#missing(given);
  }

  #missing({ first, last }: Gap): void {
    this.#findings.add("deleted", first, last, null, "the records before and after it are there");
  }

  #grow({ sequence, leaf }: PlacedRecord): void {
    if (this.#tree?.size === sequence - 1) this.#tree.append(leaf);
    else this.#tree = null;
  }

  /**
   * All lines have come, `unreadable` of them after the last record of this log. `manifest`: null where there is none. `isPart`:
   * the file says where it is gone on with. `statement`: the newest of retention's that is known.
   */
  finish(
    manifest: Manifest | null,
    isPart: boolean,
    unreadable: number,
    line: number,
    statement: RetentionStatement | null,
  ): LogReport {
    this.#nameUnnamed();
    const own = manifest?.logs.find(({ log }) => log === this.#log) ?? null;
    const missing = Math.max(0, (own?.last_sequence ?? 0) - this.last);
    this.#garbled(this.last + 1, Math.min(unreadable, missing), unreadable, line);
    for (const gap of this.#gaps.rest()) this.#missing(gap);
    const isEmpty = this.#head === null;
    const prefix = isEmpty && this.#carried !== null ? this.#carried.prefix : this.#prefix;
    const uncheckedDeletion = isPart ? null : judgeDeletion(this.#findings, this.#log, prefix, manifest, statement);
    if (manifest === null) {
      const why = "the export has no manifest as its last line";
      if (!isPart) this.#findings.add("truncated", this.last + 1, this.last + 1, null, why);
    } else if (own === null) {
      if (this.#records > 0)
        this.#findings.add("inserted", this.#first, this.last, null, "the manifest knows no such log");
    } else {
      compareWithManifest(this.#findings, own, {
        records: this.#records,
        first: this.#first ?? 1,
        last: this.last,
        garbled: Math.min(unreadable, missing),
        hashes: this.#head === null || this.#head.isNamed ? null : this.#head.hashes,
        earlier: isEmpty || this.#resumes ? this.#carried : null,
      });
    }
    if (isEmpty && this.#carried !== null)
      this.#anchors.pass(this.#carried.last, this.#carried.hash, this.#carried.tree);
    const extent = {
      first: this.#first ?? this.#carried?.last ?? 1,
      last: isEmpty ? (this.#carried?.last ?? 0) : this.last,
      fromStart: this.#fromStart || isEmpty,
      isBounded: isPart || (manifest !== null && (isBounded(manifest) || (isEmpty && manifest.since !== null))),
    };
    const anchors = this.#anchors.conclude(this.#findings, extent);
    return {
      log: this.#log,
      records: this.#records,
      deleted: this.#prefix.count,
      uncheckedDeletion,
      first: this.#first,
      last: isEmpty ? null : this.last,
      fromStart: this.#fromStart,
      root: this.#tree?.root() ?? null,
      findings: this.#findings.listed,
      findingCount: this.#findings.count,
      anchors,
    };
  }

  /** Where this log stands, for the next export; null where nothing came. */
  carried(): Carried | null {
    const hash = this.#head?.hashes[0];
    if (this.#head === null || hash === undefined) return this.#carried;
    return { last: this.#head.sequence, hash, tree: this.#tree, marks: this.#marks.kept, prefix: this.#prefix };
  }
}

/** Whether a record names one of these as the one before it, as far as its text is there to say. */
const names = ({ previousHash }: PlacedRecord, hashes: readonly string[]): boolean =>
  previousHash === null || hashes.includes(previousHash);

const NOT_FIRST = "it has no text, and one before it has: retention takes a log from its beginning on";
const CHAIN = "the next record is chained to another one";
