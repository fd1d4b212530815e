import { html } from "hono/html";
import type { ProposalView } from "../approval/proposal-view.ts";
import type { StandingApproval } from "../ledger/approvals/standing-approvals.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Html } from "./document.ts";
import type { Standing } from "./standing.ts";
import { shown } from "./text.ts";
import { cost, counted, DECIDED, factsLine, fromNow, STATES, TIER_MEANS, timeOf, titleOf } from "./wording.ts";

export type Listed = {
  readonly view: ProposalView;
  /** Set where it is a standing approval. */
  readonly lasting: StandingApproval | null;
  readonly standing: Standing;
};

export type ListPage = {
  readonly tenant: string;
  readonly subject: string;
  /** Whether the tenant's people document names the visitor. */
  readonly known: boolean;
  readonly listed: readonly Listed[];
  readonly now: EpochMs;
};

/** Ended proposals shown: what somebody looks for who has just decided. */
const ENDED_SHOWN = 20;

/** What waits for the visitor, what else of theirs is open, and what ended lately. Nothing that they may not see. */
export function listBody({ subject, known, listed, now }: ListPage): Html {
  const waiting = listed.filter(({ standing }) => standing.mayDecide && standing.mine === null);
  const open = listed.filter((one) => isOpen(one) && !waiting.includes(one));
  const ended = listed.filter((one) => !isOpen(one)).slice(0, ENDED_SHOWN);
  return html`<h1>Proposals</h1>
    <p class="lead">
      Requests that wait for people before they run. As of ${timeOf(new Date(now).toISOString())};
      <a href="/_gate/approvals">load again</a>.
    </p>
    ${known ? "" : unknownPerson(subject)}
    <section class="card" aria-labelledby="waiting">
      <h2 id="waiting">Waiting for you</h2>
      ${waiting.length === 0 ? html`<p>Nothing waits for you.</p>` : list(waiting, now)}
    </section>
    ${
      open.length === 0
        ? ""
        : html`<section class="card" aria-labelledby="open">
            <h2 id="open">Open, and not waiting for you</h2>
            ${list(open, now)}
          </section>`
    }
    ${
      ended.length === 0
        ? ""
        : html`<section class="card" aria-labelledby="ended">
            <h2 id="ended">Decided or ended lately</h2>
            ${list(ended, now)}
          </section>`
    }`;
}

const isOpen = ({ view }: Listed): boolean => view.state === "pending" || view.state === "draft";

const list = (all: readonly Listed[], now: EpochMs): Html =>
  html`<ul class="plain proposals">
    ${all.map((one) => item(one, now))}
  </ul>`;

function item(listed: Listed, now: EpochMs): Html {
  const { view, lasting, standing } = listed;
  const meaning = TIER_MEANS[view.tier];
  const facts = factsLine(view);
  const about = [
    `Tier ${view.tier}${meaning === undefined ? "" : `, ${meaning}`}`,
    `cost ${cost(view.ceilingMicros)}`,
    counted(view),
    ...(isOpen(listed) ? [`expires ${fromNow(view.expiresAt, now)}`] : []),
    ...(standing.mine === null ? [] : [`you: ${DECIDED[standing.mine.decision].toLowerCase()}`]),
  ];
  return html`<li>
    <a href="/_gate/approvals/${view.id}">${titleOf(view, lasting)}</a>
    <span class="badge ${view.state}">${STATES[view.state]}</span>
    <p class="small">${about.join(" · ")}</p>
    ${facts === "" ? "" : html`<p class="small"><bdi>${facts}</bdi></p>`}
    <p class="small">Asked by <bdi>${shown(view.requester)}</bdi> at ${timeOf(view.openedAt)}</p>
  </li>`;
}

const unknownPerson = (subject: string): Html =>
  html`<div class="note">
    <p><strong>This tenant does not know you yet.</strong></p>
    <p>
      You are signed in as <code>${shown(subject)}</code>, and its people document names nobody with this subject. Give
      it to an operator.
    </p>
  </div>`;
