import { lineOfRow, type StoredRow } from "./deleted-record.ts";
import { EXPORT_FORMS } from "./export-lines.ts";
import { manifestJson, type ManifestLog, type SignedManifest } from "./manifest.ts";

/** A place in an export: logs ascending, sequences ascending within a log. */
export type ExportPlace = { readonly log: string; readonly sequence: number };

/** One log's records from behind `after` up to `run.last`, in order, at most `limit`. */
export type ReadPage = (
  run: Pick<ManifestLog, "log" | "last">,
  after: number,
  limit: number,
) => Promise<readonly StoredRow[]>;

export type ExportLimits = { readonly pageRecords: number; readonly records: number };

/** Where to go on, as text: `ledger:100000`. */
export const placeText = ({ log, sequence }: ExportPlace): string => `${log}:${sequence}`;

/**
 * The records that `manifest` states, from behind `after` on, page by page as the reader takes them. What comes in meanwhile is beyond
 * the manifest, and so are all later answers to the same question with the same `until`.
 *
 * Where the form has a place for it, the last line is the manifest; or, where `limits.records` ends the answer before,
 * `{"next":{"after":"ledger:100000"}}`. The first page is read before this resolves. A page that cannot be read breaks the answer off: a file
 * that ends early must not look whole. Of a record that retention has deleted there is what that has left, where the form has a place
 * for it.
 */
export async function exportStream(
  manifest: SignedManifest,
  after: ExportPlace | null,
  read: ReadPage,
  limits: ExportLimits,
): Promise<ReadableStream<Uint8Array>> {
  const form = EXPORT_FORMS[manifest.format];
  const encoder = new TextEncoder();
  const pages = pagesOf(manifest.logs, after, read, limits, form.takesDeleted);
  let page = await pages.next();
  let begun = after !== null;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const head = begun ? "" : form.begin;
      begun = true;
      if (page.done === true) {
        const ending = page.value === null ? manifestJson(manifest) : { next: { after: placeText(page.value) } };
        const tail = form.takesManifest ? `${JSON.stringify(ending)}\n` : "";
        if (head + tail !== "") controller.enqueue(encoder.encode(head + tail));
        controller.close();
        return;
      }
      controller.enqueue(encoder.encode(head + form.records(page.value)));
      page = await pages.next();
    },
  });
}

/** Returns null when there is nothing more, else the place of the last record before the limit. */
async function* pagesOf(
  logs: readonly ManifestLog[],
  after: ExportPlace | null,
  read: ReadPage,
  { pageRecords, records }: ExportLimits,
  takesDeleted: boolean,
): AsyncGenerator<readonly string[], ExportPlace | null> {
  let left = records;
  let had = after;
  for (const run of logs) {
    if (after !== null && run.log < after.log) continue;
    const before = run.first - 1 + (takesDeleted ? 0 : run.deleted);
    let place = Math.max(before, after?.log === run.log ? after.sequence : 0);
    while (place < run.last) {
      if (left <= 0) return had;
      const rows = await read(run, place, Math.min(pageRecords, left));
      const last = rows.at(-1);
      // Rows that were there a moment ago: whoever reads the file finds the hole.
      if (last === undefined) break;
      yield rows.filter(({ leafHash }) => takesDeleted || leafHash === null).map((row) => lineOfRow(run.log, row));
      left -= rows.length;
      place = last.sequence;
      had = { log: run.log, sequence: place };
    }
  }
  return null;
}
