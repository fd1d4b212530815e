import { placeOf, type FoundNote } from "../../audit/verify/checkpoints.ts";
import { jsonOf } from "../../audit/verify/line.ts";
import { isJsonObject, type JsonValue } from "../../platform/json.ts";

const SIGNATURE = "— ";

/**
 * The checkpoints in a file, null where there is none or something else: signed notes one after the other, as an anchor keeps
 * them, or the gate's answers (`{"note": …}`) and the webhook's events, one document or one per line.
 */
export function notesOf(source: string, text: string): readonly FoundNote[] | null {
  const texts = text.trimStart().startsWith("{") ? notesOfJson(text) : notesOfText(text);
  const notes = texts?.map((note) => {
    const [name = ""] = note.split("\n", 1);
    const place = placeOf(name);
    return place === null ? null : { source, text: note, from: "outside" as const, name, log: place.log };
  });
  if (notes === undefined || notes.length === 0) return null;
  const known = notes.filter((note) => note !== null);
  return known.length === notes.length ? known : null;
}

function notesOfJson(text: string): readonly string[] | null {
  const whole = jsonOf(text);
  const documents = whole === undefined ? text.trim().split("\n").map(jsonOf) : [whole];
  const notes = documents.map(noteOf);
  const texts = notes.filter((note) => typeof note === "string");
  return texts.length === notes.length ? texts : null;
}

/** The note of an answer, or of the webhook's event about it. */
function noteOf(document: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(document)) return undefined;
  const { note, data } = document;
  return note ?? (isJsonObject(data) ? data["note"] : undefined);
}

/** A note ends with its signatures; whatever follows that is no blank line begins the next one. */
function notesOfText(text: string): readonly string[] {
  const notes: string[][] = [];
  let isSigned = true;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const begins = isSigned && !line.startsWith(SIGNATURE);
    if (begins && line === "") continue;
    if (begins) notes.push([]);
    notes.at(-1)?.push(line);
    isSigned = line.startsWith(SIGNATURE);
  }
  return notes.map((lines) => `${lines.join("\n")}\n`);
}
