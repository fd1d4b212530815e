const FORMATS = new Map<string, Intl.DateTimeFormat>();

/** The date of a moment in a zone, `2031-11-20`. */
function dateIn(zone: string, now: number): string {
  const format = FORMATS.get(zone) ?? new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" });
  FORMATS.set(zone, format);
  return format.format(now);
}

type Open = { readonly name: string; readonly zone: string };

/**
 * The day and the month that money counts in, told from local dates alone: what is open stays while its own zone has not come
 * past its name; what follows is never earlier, whatever zone it is opened in.
 */
export class ModelCalendar {
  #day: Open | null = null;
  #month: Open | null = null;
  #dates: { now: number; readonly in: Map<string, string> } = { now: 0, in: new Map() };
  readonly #mark: (what: string) => void;

  constructor(mark: (what: string) => void) {
    this.#mark = mark;
  }

  /** Opens what is to be open at `now`, and names it. */
  at(now: number, zone: string): { readonly day: string; readonly month: string } {
    this.#day = this.#next(this.#day, now, zone, "2031-11-20".length);
    this.#month = this.#next(this.#month, now, zone, "2031-11".length);
    return { day: this.#day.name, month: this.#month.name };
  }

  #next(open: Open | null, now: number, zone: string, length: number): Open {
    const name = this.#dateAt(now, zone).slice(0, length);
    if (open === null) return { name, zone };
    if (this.#dateAt(now, open.zone).slice(0, length) <= open.name) {
      if (zone !== open.zone) this.#mark("a window stays although the zone changed");
      return open;
    }
    if (name > open.name) this.#mark(`a window opens in ${zone}`);
    else
      this.#mark(
        name === open.name ? "a window goes on in another zone" : "a window goes on although its date is over",
      );
    return { name: name > open.name ? name : open.name, zone };
  }

  /** Asked many times for one moment. */
  #dateAt(now: number, zone: string): string {
    if (this.#dates.now !== now) this.#dates = { now, in: new Map() };
    const date = this.#dates.in.get(zone) ?? dateIn(zone, now);
    this.#dates.in.set(zone, date);
    return date;
  }
}
