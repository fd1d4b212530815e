import { z } from "zod";
import { fields, text, type Block } from "../print.ts";

const cap = z.object({ before_usd: z.number(), after_usd: z.number() });

/** What the gate says that a version changes, as far as people are shown it. */
export const changesShown = z.object({
  against: z.number(),
  documents: z.array(z.string()),
  caps: z.object({ daily: cap, monthly: cap }),
  activated_by: z.array(z.string()),
  never_by: z.string(),
  meaning: z
    .object({
      widens: z.boolean(),
      changes: z.array(z.object({ widens: z.boolean(), text: z.string() })),
      more: z.number(),
    })
    .nullable()
    .optional(),
});

/** The same for people. */
export const changeBlocks = (changes: z.infer<typeof changesShown>): readonly Block[] => [
  ...meaningBlocks(changes.meaning ?? null),
  fields([
    ["against", `version ${changes.against}`],
    ["documents", changes.documents.length === 0 ? "none: the texts are the same" : changes.documents.join(", ")],
    ["daily cap", capText(changes.caps.daily)],
    ["monthly cap", capText(changes.caps.monthly)],
    ["put in force by", `${changes.activated_by.join(" or ")}, and not by ${changes.never_by}, its author`],
  ]),
];

/** What it changes in meaning: what widens is marked. */
function meaningBlocks(meaning: z.infer<typeof changesShown>["meaning"] | null): readonly Block[] {
  if (meaning === null || meaning === undefined) return [];
  if (meaning.changes.length === 0) return [text("Nothing changes in meaning.")];
  return [
    ...meaning.changes.map((one) =>
      text(one.widens ? { text: `wider: ${one.text}`, style: "warn" } : { text: one.text, style: "dim" }),
    ),
    ...(meaning.more === 0 ? [] : [text(`… and ${meaning.more} more; policy diff shows all.`)]),
  ];
}

const capText = ({ before_usd: before, after_usd: after }: z.infer<typeof cap>): string =>
  before === after ? `${usdText(after)} as before` : `${usdText(before)} → ${usdText(after)}`;

const usdText = (amount: number): string => `${amount.toFixed(2)} USD`;
