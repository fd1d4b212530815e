import type { AnyMessageBlock, Button, PlainTextField } from "slack-web-api-client";
import { assert } from "../platform/assert.ts";
import { SLACK_LIMITS } from "./limits.ts";

/** A message as Slack takes it: `text` is the notification and what screen readers say, `blocks` what people see. */
export type SlackMessage = { readonly text: string; readonly blocks: readonly AnyMessageBlock[] };

/** The one kind of text that holds anything variable: Slack reads no formatting, mention, link or `:emoji:` in it. */
export function plain(text: string, max: number = SLACK_LIMITS.text): PlainTextField {
  assert(text.length > 0 && text.length <= max, `a text has 1 to ${max} characters`);
  return { type: "plain_text", text, emoji: false };
}

/** Headings in bold. The only formatted text in any message: these words are constants, never data. */
export type Label =
  | "Action"
  | "Tier"
  | "Resource"
  | "Cost"
  | "Blast radius"
  | "Reversible"
  | "Affected"
  | "Maintenance window"
  | "In shadow, not enforced"
  | "Incident"
  | "Requested by"
  | "Facts"
  | "Request as it will be sent"
  | "Decisions"
  | "Written by the requester, not checked by the gate";

export const heading = (label: Label): AnyMessageBlock => ({
  type: "section",
  text: { type: "mrkdwn", text: `*${label}*`, verbatim: true },
});

export const header = (text: string): AnyMessageBlock => ({
  type: "header",
  text: plain(text, SLACK_LIMITS.headerText),
});
export const section = (text: string): AnyMessageBlock => ({ type: "section", text: plain(text) });
export const context = (text: string): AnyMessageBlock => ({ type: "context", elements: [plain(text)] });
export const divider: AnyMessageBlock = { type: "divider" };

/** A label and its value side by side. */
export type Row = readonly [label: Label, value: string];

/** Two-column sections: a row takes two of a section's ten fields. */
export function rowSections(rows: readonly Row[]): readonly AnyMessageBlock[] {
  const perSection = SLACK_LIMITS.fields / 2;
  return Array.from({ length: Math.ceil(rows.length / perSection) }, (_, index) => ({
    type: "section",
    fields: rows
      .slice(index * perSection, (index + 1) * perSection)
      .flatMap(([label, value]) => [
        { type: "mrkdwn" as const, text: `*${label}*`, verbatim: true },
        plain(value, SLACK_LIMITS.fieldText),
      ]),
  }));
}

export const button = (text: string, actionId: string, rest: Partial<Button>): Button => ({
  ...rest,
  type: "button",
  text: plain(text, SLACK_LIMITS.buttonText),
  action_id: actionId,
});
