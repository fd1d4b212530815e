import { html } from "hono/html";
import type { ProposalView } from "../approval/proposal-view.ts";
import type { StandingApproval } from "../ledger/approvals/standing-approvals.ts";
import type { JsonObject } from "../platform/json.ts";
import { formatUsd } from "../platform/money.ts";
import type { EpochMs } from "../vocabulary.ts";
import { decisionSection, type FormState } from "./decision-form.ts";
import { boxed } from "./boxed.ts";
import type { Html } from "./document.ts";
import type { Standing } from "./standing.ts";
import { decisionsSection, writtenSection, type StoredEvidence } from "./statements.ts";
import { shown, shownJson } from "./text.ts";
import {
  cost,
  counted,
  fromNow,
  LASTING_STATE_MEANS,
  STATE_MEANS,
  STATES,
  TIER_MEANS,
  timeOf,
  titleOf,
} from "./wording.ts";

export type Notice = {
  readonly tone: "good" | "bad" | "plain";
  readonly title: string;
  readonly text: readonly string[];
};

export type ProposalPage = {
  readonly view: ProposalView;
  /** Its limits where it is a standing approval, null where it is for one request. */
  readonly lasting: StandingApproval | null;
  readonly storedEvidence: StoredEvidence | null;
  readonly standing: Standing;
  readonly form: FormState;
  /** What came of what the visitor just did. */
  readonly notice: Notice | null;
  readonly now: EpochMs;
};

/**
 * One proposal. What the gate knows comes first; what the requester wrote comes after it, in a section that says so, inert and
 * in boxes of bounded height, so that no length of it pushes the gate's facts or the buttons out of reach.
 */
export const proposalBody = (page: ProposalPage): Html => {
  const { view, lasting, standing, form, notice, now } = page;
  return html`<h1>${titleOf(view, lasting)}</h1>
    <p class="lead"><span class="badge ${view.state}">${STATES[view.state]}</span> ${summary(view, lasting, now)}</p>
    ${standing.mayDecide ? html`<p class="jump"><a href="#decide">To your decision</a></p>` : ""}
    ${notice === null ? "" : noticeBox(notice)}
    <div class="columns">
      <div>
        ${knownSection(view, lasting, now)} ${requestSection(view, lasting)} ${decisionsSection(view)}
        ${writtenSection(view, page.storedEvidence)}
      </div>
      ${decisionSection(view, standing, form, lasting !== null)}
    </div>
    ${identifiers(view, now)}`;
};

/** A box at the top that says what happened, announced to screen readers. */
export const noticeBox = ({ tone, title, text }: Notice): Html =>
  html`<div class="note ${tone}" role="${tone === "bad" ? "alert" : "status"}">
    <p><strong>${shown(title)}</strong></p>
    ${text.map((line) => html`<p>${shown(line)}</p>`)}
  </div>`;

function summary(view: ProposalView, lasting: StandingApproval | null, now: EpochMs): string {
  const means = lasting === null ? STATE_MEANS : LASTING_STATE_MEANS;
  if (view.state !== "pending") return `${counted(view)}. ${means[view.state]}`;
  return `${counted(view)}, expires ${fromNow(view.expiresAt, now)} (${timeOf(view.expiresAt)}). ${STATE_MEANS.pending}`;
}

function knownSection(view: ProposalView, lasting: StandingApproval | null, now: EpochMs): Html {
  const { affected } = view;
  const meaning = TIER_MEANS[view.tier];
  return html`<section class="card" aria-labelledby="known">
    <h2 id="known">What the gate knows</h2>
    <dl>
      ${row("Action", html`<code>${shown(view.action)}</code>`)}
      ${lasting === null ? "" : row("Allows", limits(lasting))}
      ${row("Resource", view.resource === null ? (lasting === null ? "a new one" : "any") : html`<code>${shown(view.resource)}</code>`)}
      ${row("Tier", html`${view.tier}${meaning === undefined ? "" : `, ${meaning}`}${view.rule === null ? "" : html` <span class="small">by rule <code>${shown(view.rule)}</code></span>`}`)}
      ${row("Cost", cost(view.ceilingMicros))}
      ${row("Blast radius", view.blastRadius === null ? "not declared" : `${shown(view.blastRadius)}${view.elevated ? ", elevated" : ""}`)}
      ${row("Reversible", view.reversible === null ? "not declared" : view.reversible ? "yes" : "no")}
      ${row("Affected", affected === null ? "not looked up: the catalogue declares no look-up" : affectedList(affected))}
      ${view.window === null ? "" : row("Maintenance window", html`<code>${shown(view.window.name)}</code>, closes at ${timeOf(view.window.closesAt)}: later it runs in the next one only`)}
      ${view.shadow.length === 0 ? "" : row("In shadow, not enforced", shadowList(view))}
      ${row("Facts", factsList(view))} ${row("Requested by", requester(view))}
      ${row("Who may decide", names(view.approvers))} ${row("Approvals", `${view.given} of ${view.needed} given`)}
      ${row("Opened", timeOf(view.openedAt))}
      ${isLive(view) ? row(view.state === "approved" ? "To be used by" : "Expires", `${timeOf(view.expiresAt)}, ${fromNow(view.expiresAt, now)}`) : ""}
    </dl>
  </section>`;
}

/** How much a standing approval lets pass, and how much of it is left. */
const limits = ({ owner, uses, used, capMicros, usedMicros, endsAt }: StandingApproval): Html =>
  html`<ul>
    <li>${uses} ${uses === 1 ? "request" : "requests"} of this action, ${used} of them made</li>
    <li>together ${cost(capMicros)}, ${formatUsd(usedMicros)} USD of it taken</li>
    <li>by credentials that <code>${shown(owner)}</code> answers for</li>
    <li>until ${timeOf(new Date(endsAt).toISOString())}</li>
    <li>only while every fact below holds</li>
  </ul>`;

const isLive = ({ state }: ProposalView): boolean => state === "draft" || state === "pending" || state === "approved";

const row = (name: string, value: Html | string): Html =>
  html`<dt>${name}</dt>
    <dd>${value}</dd>`;

const requester = ({ requester: who, owner }: ProposalView): Html =>
  who === owner
    ? html`<code>${shown(who)}</code>`
    : html`<code>${shown(who)}</code>, for whom <code>${shown(owner)}</code> answers`;

const names = (handles: readonly string[]): Html | string =>
  handles.length === 0 ? "nobody" : html`<bdi>${handles.map(shown).join(", ")}</bdi>`;

function affectedList({ count, items }: NonNullable<ProposalView["affected"]>): Html | string {
  if (count === 0) return "nothing else";
  const more = count - items.length;
  return html`${count}
    <ul>
      ${items.map((item) => html`<li><code>${shown(item)}</code></li>`)}${more > 0 ? html`<li>and ${more} more</li>` : ""}
    </ul>`;
}

const shadowList = ({ shadow }: ProposalView): Html =>
  html`<ul>
    ${shadow.map(({ rule, verdict }) => html`<li>${shown(verdict)} by rule <code>${shown(rule)}</code></li>`)}
  </ul>`;

function factsList({ facts }: ProposalView): Html | string {
  const all = Object.entries(facts);
  if (all.length === 0) return "none";
  return html`<ul>
    ${all.map(([name, value]) => {
      const text = typeof value === "object" ? value.join(", ") : String(value);
      return html`<li>${shown(name)}: <code>${shown(text)}</code></li>`;
    })}
  </ul>`;
}

function requestSection({ request }: ProposalView, lasting: StandingApproval | null): Html {
  const query = Object.keys(request.query).length === 0 ? null : request.query;
  return html`<section class="card" aria-labelledby="request">
    <h2 id="request">${lasting === null ? "Request as it will be sent" : "What was asked for"}</h2>
    <p><code>${shown(request.method)} ${shown(request.path)}</code></p>
    ${
      query === null
        ? ""
        : html`<h3>Query</h3>
            ${json("Query", query)}`
    }
    ${
      request.body === null
        ? html`<p>No body.</p>`
        : html`<h3>Body</h3>
            ${json("Body", request.body)} ${redactionNote(request.body)}`
    }
  </section>`;
}

/** Secrets in a request are marked before anything of it is stored, so not even this page has them. */
const redactionNote = (body: JsonObject): Html | string =>
  JSON.stringify(body).includes("[redacted")
    ? html`<p class="small">What is <code>[redacted]</code> here looks like a secret, and is sent as it is.</p>`
    : "";

const json = (label: string, value: JsonObject): Html => boxed(label, shownJson(value), "code");

function identifiers(view: ProposalView, now: EpochMs): Html {
  return html`<section class="small" aria-labelledby="ids">
    <h2 id="ids">Identifiers</h2>
    <p>
      Proposal <code>${shown(view.id)}</code> of tenant <code>${shown(view.tenant)}</code><br />
      What you decide about: <code>${shown(view.approvalDigest)}</code><br />
      The request: <code>${shown(view.requestDigest)}</code>
    </p>
    <p>
      As of ${timeOf(new Date(now).toISOString())}. This page does not change by itself:
      <a href="/_gate/approvals/${view.id}">load it again</a>.
    </p>
  </section>`;
}
