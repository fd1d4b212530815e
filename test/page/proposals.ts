import type { ProposalView } from "../../src/approval/proposal-view.ts";
import type { FormState } from "../../src/page/decision-form.ts";
import type { ProposalPage } from "../../src/page/proposal-page.ts";
import type { Standing } from "../../src/page/standing.ts";

export const NOW = Date.parse("2026-11-20T14:05:00Z");

/** A tier-4 proposal in which every text that somebody else can choose is `text`. */
export const viewWith = (text: string): ProposalView => ({
  id: "apr_0123456789abcdefghjkmnpqrs",
  tenant: "acme",
  state: "pending",
  action: "workloads.cancel",
  tier: 4,
  rule: text,
  resource: text,
  facts: { image: text, [`name of ${text}`]: 1, list: [text, text] },
  request: { method: text, path: text, query: { [text]: text }, body: { [text]: { nested: [text] } } },
  ceilingMicros: 12_500_000,
  blastRadius: text,
  elevated: true,
  window: { name: text, closesAt: "2026-11-21T03:00:00.000Z" },
  shadow: [{ rule: text, verdict: text }],
  reversible: false,
  affected: { count: 2, items: [text, text] },
  reason: text,
  evidence: text,
  backOut: text,
  incident: text,
  requester: text,
  owner: text,
  needed: 2,
  given: 1,
  approvers: [text, text],
  decisions: [
    { handle: text, subject: text, decision: "approve", comment: text, demo: true, decidedAt: "2026-11-20T14:00:00Z" },
    { handle: null, subject: text, decision: "approve", comment: text, demo: true, decidedAt: "2026-11-20T14:00:00Z" },
  ],
  attempts: [
    { handle: text, subject: text, decision: text, reason: text, attemptedAt: "2026-11-20T14:00:00Z" },
    { handle: null, subject: text, decision: text, reason: text, attemptedAt: "2026-11-20T14:00:00Z" },
  ],
  review: { brokenBy: text, reviewedBy: text, comment: text },
  openedAt: "2026-11-20T13:55:00Z",
  expiresAt: "2026-11-20T14:25:00Z",
  requestDigest: `sha256:${"1".repeat(64)}`,
  approvalDigest: `sha256:${"2".repeat(64)}`,
  confirm: text,
  url: "https://gate.example/_gate/approvals/apr_0123456789abcdefghjkmnpqrs",
});

export const MAY_DECIDE: Standing = { mayDecide: true, mayBreakGlass: true, why: null, mine: null, signIn: "fresh" };

const form = (text: string): FormState => ({
  token: "T".repeat(43),
  comment: text,
  confirmError: text,
  commentError: text,
  signInAgain: null,
});

/** Its page, with everything on it that can be. */
export const pageWith = (text: string): ProposalPage => ({
  view: viewWith(text),
  lasting: {
    id: "apr_0123456789abcdefghjkmnpqrs",
    owner: text,
    action: "workloads.cancel",
    pins: { image: text },
    uses: 3,
    capMicros: 5_000_000,
    endsAt: NOW,
    used: 1,
    usedMicros: 1_000_000,
  },
  storedEvidence: { reference: `of ${text}`, text },
  standing: MAY_DECIDE,
  form: form(text),
  notice: { tone: "bad", title: text, text: [text] },
  now: NOW,
});
