import { z } from "zod";

/** What the checker reads of a record. Written down from the documents, not from the gate's own schema. */
const RECORD = z.looseObject({
  tenant: z.string(),
  log: z.string(),
  sequence: z.int(),
  previous_hash: z.string(),
  hash: z.string(),
  version: z.literal(1),
  kind: z.string(),
  request_id: z.string(),
  time: z.iso.datetime({ precision: 3 }),
  principal: z.string().nullable(),
  principal_class: z.string().nullable(),
  owner: z.string().nullable(),
  credential_id: z.string().nullable(),
  action: z.string().nullable(),
  tier: z.int().nullable(),
  decision: z.string().nullable(),
  reason_code: z.string().nullable(),
  detail: z.string().nullable(),
  cost_micros: z.int().nullable(),
  request_digest: z.string().nullable(),
  approval_id: z.string().nullable(),
  approvers: z.array(z.string()),
  reservation: z
    .looseObject({
      id: z.string(),
      state: z.string(),
      daily: z.string(),
      monthly: z.string(),
      held_micros: z.int(),
      settled_micros: z.int().nullish(),
    })
    .nullable(),
  outcome: z.string().nullable(),
  facts: z.unknown().optional(),
});
export type CheckedRecord = z.infer<typeof RECORD>;

/** Something that does not hold, and at which record. */
export type Complain = (record: Pick<CheckedRecord, "log" | "sequence">, what: string) => void;

export const readRecord = (line: string): CheckedRecord => RECORD.parse(JSON.parse(line));

/** A use of a standing approval: its approvers gave it beforehand, for many requests. */
export const isStandingUse = ({ reason_code: code }: CheckedRecord): boolean => code === "standing-approval";
/** The record that puts a standing approval before people. */
export const isStandingAsk = ({ detail }: CheckedRecord): boolean => detail?.startsWith("standing approval: ") === true;
