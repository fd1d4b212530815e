/** One request exactly as it arrived, refused ones included. */
export type RecordedRequest = {
  readonly method: string;
  /** Undecoded, with the query. */
  readonly path: string;
  /** Lower-case name → value; several lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body_base64: string;
};

/** How many requests are kept. Beyond it the oldest go, so that a load test cannot exhaust memory (≈ 2 KB each). */
export const MAX_RECORDED = 100_000;

/** Keeps what arrived, for checks that ask which bytes left the gate. */
export class Recorder {
  #requests: RecordedRequest[] = [];

  add(request: RecordedRequest): void {
    // Dropping in halves keeps the cost per request constant; the list never holds less than the newest 50,000.
    if (this.#requests.length >= MAX_RECORDED) this.#requests = this.#requests.slice(MAX_RECORDED / 2);
    this.#requests.push(request);
  }

  all(): readonly RecordedRequest[] {
    return this.#requests;
  }

  clear(): void {
    this.#requests = [];
  }
}
