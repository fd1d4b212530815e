import { toBase64 } from "../../platform/base64.ts";
import { verifyCheckpoint, type VerifierKey } from "../signed-note.ts";
import type { Anchor } from "./anchors.ts";
import type { Fault } from "./export.ts";
import type { Carried } from "./log-report.ts";
import type { Manifest } from "./manifest.ts";

/** The text of a checkpoint, and where it is from. `log`: which one it has to be about, null for whichever it says. */
export type FoundNote = {
  readonly source: string;
  readonly text: string;
  readonly from: Anchor["from"];
  readonly name: string;
  readonly log: string;
};

/** Checkpoints by what their signatures say. `unchecked`: notes of logs for which no key was given. */
export type OpenedNotes = {
  readonly anchors: readonly Anchor[];
  readonly faults: readonly Fault[];
  readonly unchecked: readonly FoundNote[];
};

/** How a log's checkpoints and keys are called. */
export const logName = (tenant: string, log: string): string => `portcullis/${tenant}/${log}`;

/** Tenant and log of such a name, null for any other. A tenant's id holds no slash. */
export function placeOf(name: string): { readonly tenant: string; readonly log: string } | null {
  const [, tenant, log] = /^portcullis\/([^/\s]+)\/([^/\s]+)$/.exec(name) ?? [];
  return tenant === undefined || log === undefined ? null : { tenant, log };
}

/** The checkpoints that an export brings itself. */
export const ownNotes = ({ tenant, logs }: Manifest): readonly FoundNote[] =>
  logs.flatMap(({ log, checkpoint }) =>
    checkpoint === null
      ? []
      : [
          {
            source: "the export's checkpoint",
            text: checkpoint,
            from: "manifest" as const,
            name: logName(tenant, log),
            log,
          },
        ],
  );

/** Verifies notes. A key counts for the log that its name says, of several such any. */
export async function openNotes(notes: readonly FoundNote[], keys: readonly VerifierKey[]): Promise<OpenedNotes> {
  const [anchors, faults, unchecked]: [Anchor[], Fault[], FoundNote[]] = [[], [], []];
  for (const note of notes) {
    const { source, log, from } = note;
    const named = keys.filter(({ name }) => name === note.name);
    if (named.length === 0) unchecked.push(note);
    const opened = await Promise.all(named.map((key) => verifyCheckpoint(note.text, key)));
    const good = opened.find((one) => one.ok);
    const [bad] = opened;
    if (good?.ok === true) {
      const { size, root } = good.value;
      anchors.push({ source: `${source} of ${size} records`, log, size, root, hash: null, kind: "checkpoint", from });
    } else if (bad?.ok === false) faults.push({ log, why: `${source} cannot be believed: ${bad.error}` });
  }
  return { anchors, faults, unchecked };
}

/** What an earlier export says of the same logs. */
export const anchorsOf = (source: string, carried: ReadonlyMap<string, Carried>): readonly Anchor[] =>
  [...carried].flatMap(([log, { last, hash, tree, marks }]) => [
    ...marks.map((mark): Anchor => ({
      source: `${source} at ${mark.sequence}`,
      log,
      size: mark.sequence,
      root: null,
      hash: mark.hash,
      kind: "mark",
      from: "outside",
    })),
    { source, log, size: last, root: tree?.root() ?? null, hash, kind: "export", from: "outside" },
  ]);

/** Checkpoints once each: one may have been given twice, or be the export's own too, which then comes from outside. */
export function distinct(anchors: readonly Anchor[]): readonly Anchor[] {
  const known = new Map<string, Anchor>();
  for (const anchor of anchors) {
    const { kind, log, size, root, hash } = anchor;
    const key = `${kind} ${log} ${size} ${root === null ? "" : toBase64(root)} ${hash}`;
    const before = known.get(key);
    if (before === undefined || before.from === "manifest") known.set(key, anchor);
  }
  return [...known.values()];
}
