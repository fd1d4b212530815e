/** The date of a moment in a zone, `2031-11-20`. */
function dateAt(now: number, zone: string): string {
  const format = FORMATS.get(zone) ?? new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" });
  FORMATS.set(zone, format);
  return format.format(now);
}
const FORMATS = new Map<string, Intl.DateTimeFormat>();

type Open = { readonly name: string; readonly zone: string };

/**
 * The day and the month that money counts in, told from local dates alone: what is open stays while its own zone has not come
 * past its name; what follows is never earlier, whatever zone it is opened in.
 */
export class ModelCalendar {
  #day: Open | null = null;
  #month: Open | null = null;

  /** Opens what is to be open at `now`, and names it. */
  at(now: number, zone: string): { readonly day: string; readonly month: string } {
    this.#day = next(this.#day, now, zone, "2031-11-20".length);
    this.#month = next(this.#month, now, zone, "2031-11".length);
    return { day: this.#day.name, month: this.#month.name };
  }
}

function next(open: Open | null, now: number, zone: string, length: number): Open {
  const name = dateAt(now, zone).slice(0, length);
  if (open === null) return { name, zone };
  if (dateAt(now, open.zone).slice(0, length) <= open.name) return open;
  return { name: name > open.name ? name : open.name, zone };
}
