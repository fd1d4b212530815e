/** How many unexpired nonces are remembered. 60 s × 5,000 requests per second, with room; a full window refuses. */
export const MAX_NONCES = 400_000;

/** Remembers nonces until they expire, so that each is accepted once. */
export class NonceWindow {
  readonly #expiryByNonce = new Map<string, number>();

  /** True exactly once per nonce until `expires` (seconds since the epoch). False also when the window is full. */
  use(nonce: string, expires: number, nowSeconds: number): boolean {
    const known = this.#expiryByNonce.get(nonce);
    if (known !== undefined && known > nowSeconds) return false;
    if (this.#expiryByNonce.size >= MAX_NONCES) this.#sweep(nowSeconds);
    if (this.#expiryByNonce.size >= MAX_NONCES) return false;
    this.#expiryByNonce.set(nonce, expires);
    return true;
  }

  #sweep(nowSeconds: number): void {
    for (const [nonce, expires] of this.#expiryByNonce) if (expires <= nowSeconds) this.#expiryByNonce.delete(nonce);
  }
}
