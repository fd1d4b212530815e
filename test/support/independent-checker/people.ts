import { isStandingAsk, isStandingUse, type CheckedRecord, type Complain } from "./records.ts";

type Decided = { readonly word: string; readonly class: string | null };
type Proposal = {
  readonly opened: CheckedRecord;
  readonly decisions: Map<string, Decided>;
  ended: string | null;
  isGranted: boolean;
  uses: number;
  usedMicros: number;
};

const ENDED = new Set(["expired", "withdrawn", "denied", "invalidated"]);
const WORDS = new Set(["approve", "deny", "break-glass"]);
/** Distinct people that a tier needs (rule 8 of the architecture). */
const NEEDED: Readonly<Record<number, number>> = { 3: 1, 4: 2 };

/**
 * Replays who decided what, and checks of every write at tier 3 and 4 that it ran on an approval which was opened, decided by the
 * people it names, granted and not ended, all before it in the log; none of them who asked, owns the credential or made it.
 */
export function checkPeople(records: readonly CheckedRecord[], complain: Complain): void {
  const proposals = new Map<string, Proposal>();
  const makers = new Map<string, string>();
  for (const record of records) {
    const { kind, reason_code: code, approval_id: id } = record;
    if (kind === "admin" && code === "credential-created") {
      const [credential] = (record.detail ?? "").split(" for ");
      if (credential !== undefined && record.principal !== null) makers.set(credential, record.principal);
    }
    if (kind === "intent") checkIntent(record, proposals, makers, complain);
    if (id === null || (kind !== "proposal" && kind !== "decision" && kind !== "break-glass")) continue;
    const proposal = proposals.get(id);
    if (proposal === undefined) {
      if (kind === "proposal" && (code === "opened" || code === "draft")) proposals.set(id, begun(record));
      else complain(record, `is about ${id}, which nobody opened`);
      continue;
    }
    if (kind === "proposal") {
      if (ENDED.has(code ?? "")) {
        if (proposal.ended !== null) complain(record, `ends ${id} once more: it was ${proposal.ended}`);
        proposal.ended = code;
      }
      continue;
    }
    checkDecision(record, proposal, complain);
  }
}

const begun = (opened: CheckedRecord): Proposal => ({
  opened,
  decisions: new Map(),
  ended: null,
  isGranted: false,
  uses: 0,
  usedMicros: 0,
});

function checkDecision(record: CheckedRecord, proposal: Proposal, complain: Complain): void {
  const { reason_code: code, principal, approval_id: id } = record;
  if (code === "approved") {
    if (proposal.ended !== null) complain(record, `grants ${id}, which was ${proposal.ended}`);
    if (proposal.isGranted) complain(record, `grants ${id} twice`);
    proposal.isGranted = true;
    for (const approver of record.approvers)
      if (!saidYes(proposal, approver)) complain(record, `names ${approver}, who said no such thing`);
  }
  if (principal === null || !WORDS.has(code ?? "")) return;
  if (proposal.ended !== null) complain(record, `decides ${id}, which was ${proposal.ended}`);
  if (record.principal_class !== "person")
    complain(record, `is a decision of ${principal}, a ${record.principal_class}`);
  if (principal === proposal.opened.principal || principal === proposal.opened.owner)
    complain(record, `is a decision of ${principal}, who asked`);
  proposal.decisions.set(principal, { word: code ?? "", class: record.principal_class });
}

const saidYes = ({ decisions }: Proposal, subject: string): boolean => {
  const word = decisions.get(subject)?.word;
  return word === "approve" || word === "break-glass";
};

function checkIntent(
  intent: CheckedRecord,
  proposals: ReadonlyMap<string, Proposal>,
  makers: ReadonlyMap<string, string>,
  complain: Complain,
): void {
  const { approval_id: id, approvers, tier } = intent;
  const needed = NEEDED[tier ?? 0] ?? 0;
  if (needed === 0) {
    if (id !== null || approvers.length > 0) complain(intent, `at tier ${tier} rests on an approval`);
    return;
  }
  const proposal = id === null ? undefined : proposals.get(id);
  if (id === null || proposal === undefined) return complain(intent, `at tier ${tier} ran without an approval`);
  if (!proposal.isGranted) complain(intent, `ran on ${id}, which was not granted`);
  if (proposal.ended !== null) complain(intent, `ran on ${id}, which was ${proposal.ended}`);
  const isBroken = approvers.some((approver) => proposal.decisions.get(approver)?.word === "break-glass");
  if (new Set(approvers).size !== approvers.length) complain(intent, "names an approver twice");
  if (approvers.length < (isBroken ? 1 : needed))
    complain(intent, `at tier ${tier} ran on the word of ${approvers.length}`);
  const maker = intent.credential_id === null ? undefined : makers.get(intent.credential_id);
  for (const approver of approvers) {
    if (!saidYes(proposal, approver)) complain(intent, `names ${approver}, who did not approve ${id} before`);
    if (approver === intent.principal) complain(intent, `${approver} approved its own request`);
    if (approver === intent.owner) complain(intent, `${approver} approved a request of a credential of theirs`);
    if (approver === maker) complain(intent, `${approver} approved a request of a credential that they made`);
  }
  proposal.uses += 1;
  proposal.usedMicros += intent.cost_micros ?? 0;
  if (isStandingUse(intent)) checkStandingUse(intent, proposal, complain);
  else checkGrantUse(intent, proposal, complain);
}

function checkGrantUse(intent: CheckedRecord, { opened, uses }: Proposal, complain: Complain): void {
  if (isStandingAsk(opened)) complain(intent, "takes a standing approval for a grant");
  if (uses > 1) complain(intent, `is use ${uses} of a grant`);
  for (const name of ["principal", "action", "tier", "request_digest"] as const)
    if (intent[name] !== opened[name]) complain(intent, `has another ${name} than what was approved`);
}

/** What was asked for stands in the ask: `standing approval: 3 uses, 12.50 USD, until …`. */
function checkStandingUse(intent: CheckedRecord, { opened, uses, usedMicros }: Proposal, complain: Complain): void {
  const [, granted, until] = /^standing approval: (\d+) uses, .* USD, until (.+)$/.exec(opened.detail ?? "") ?? [];
  if (granted === undefined || until === undefined) return complain(intent, "takes a grant for a standing approval");
  if (uses > Number(granted)) complain(intent, `is use ${uses} of ${granted}`);
  if (usedMicros > (opened.cost_micros ?? 0))
    complain(intent, `brings its standing approval to ${usedMicros} micro-USD`);
  if (intent.time >= until) complain(intent, "comes after the end of its standing approval");
  if (intent.owner !== opened.principal) complain(intent, "is of another owner than the standing approval");
  if (intent.action !== opened.action) complain(intent, "is of another action than the standing approval");
}
