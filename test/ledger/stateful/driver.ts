import type { AdmissionRequest } from "../../../src/ledger/contract.ts";
import type { LedgerPort } from "../../../src/ledger/ledger-port.ts";
import type { Timings } from "../../../src/ledger/operations.ts";
import type { Cursor, Tables } from "../invariants/tables.ts";

/** What random runs ask of a ledger. */
export type LedgerUnderTest = Pick<
  LedgerPort,
  | "admit"
  | "plan"
  | "conclude"
  | "reconcile"
  | "decide"
  | "withdraw"
  | "completeDraft"
  | "budgetReport"
  | "booksOf"
  | "changeBudget"
  | "decideBudgetChange"
  | "withdrawBudgetChange"
  | "reportUsage"
  | "resolveOperation"
  | "settleByStatus"
>;

/** One ledger of a tenant that has just been bootstrapped, and its surroundings: clock, alarm, crashes, the tables themselves. */
export type LedgerDriver = {
  readonly ledger: LedgerUnderTest;
  readonly timings: Timings;
  /** Moves the ledger's clock, ahead or back. */
  readonly setClock: (now: number) => void;
  /** What is due happens. */
  readonly alarm: () => Promise<void>;
  /** What is only in memory is lost. */
  readonly restart: () => Promise<void>;
  /** The same in the middle of the admission of `request`, before it is committed. */
  readonly crash: (request: AdmissionRequest) => Promise<void>;
  /** The tables as they are; of book and journal the rows after those that were read before. */
  readonly tables: (after: Cursor) => Promise<Tables>;
  /** What can be checked only once, at the end of a run. */
  readonly finish: () => Promise<void>;
};
