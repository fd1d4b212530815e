import type { EpochMs } from "../vocabulary.ts";

/** Pause between two looks of a long poll: whoever waits hears within it. */
const STEP_MS = 500;

/** The same for those beyond the bounds below: they hear as well, later. */
const SLOW_STEP_MS = 10_000;

/** Long polls of one principal that look often at a time, in one isolate: more than one client of it follows. */
const OFTEN_OF_PRINCIPAL = 4;

/** The same of one tenant. At two looks a second 64, of the hundreds of calls a second that its ledger answers. */
const OFTEN_OF_TENANT = 32;

/** Who waits: a principal of a tenant. */
type Who = { readonly tenant: string; readonly subject: string };
type Place = Who & { readonly until: EpochMs };

/**
 * Who waits just now, in this isolate. Each look asks the tenant's ledger, through which every write of the tenant goes, so not
 * everybody who waits may look often. A place ends by its time as well: a request whose client has gone says nothing any more.
 */
export class WaitingPlaces {
  #taken: readonly Place[] = [];

  /** A place until then, to be given back; null where principal or tenant has enough of them. */
  take(who: Who, until: EpochMs, now: EpochMs): Place | null {
    this.#taken = this.#taken.filter((one) => one.until > now);
    const ofTenant = this.#taken.filter(({ tenant }) => tenant === who.tenant);
    const own = ofTenant.filter(({ subject }) => subject === who.subject);
    if (own.length >= OFTEN_OF_PRINCIPAL || ofTenant.length >= OFTEN_OF_TENANT) return null;
    const place = { tenant: who.tenant, subject: who.subject, until };
    this.#taken = [...this.#taken, place];
    return place;
  }

  release(place: Place): void {
    this.#taken = this.#taken.filter((one) => one !== place);
  }
}

const places = new WaitingPlaces();

/** Looks until there is nothing to wait for, or `waitS` seconds are over; says what it saw last. */
export async function longPoll<T>(
  who: Who,
  waitS: number,
  look: () => Promise<T>,
  isWaiting: (seen: T) => boolean,
): Promise<T> {
  const until = Date.now() + waitS * 1_000;
  let seen = await look();
  if (waitS === 0 || !isWaiting(seen)) return seen;
  const place = places.take(who, until, Date.now());
  const stepMs = place === null ? SLOW_STEP_MS : STEP_MS;
  while (isWaiting(seen) && Date.now() < until) {
    const pauseMs = Math.min(stepMs, Math.max(STEP_MS, until - Date.now()));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    seen = await look();
  }
  if (place !== null) places.release(place);
  return seen;
}
