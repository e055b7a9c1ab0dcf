/**
 * The pauses between attempts to connect, in milliseconds: each twice as long as the one before, up to a limit, and a
 * random part of up to as much again.
 */
export class Delays {
  #attempt = 0;
  #base: number;

  constructor(first: number, readonly most: number) {
    this.#base = Math.min(first, most);
  }

  /** The number of the next attempt, 1 for the first, and how long to wait before it. */
  next(): { attempt: number; delay: number } {
    this.#attempt += 1;
    const delay = this.#base * (1 + Math.random());
    this.#base = Math.min(this.#base * 2, this.most);
    return { attempt: this.#attempt, delay: Math.min(Math.round(delay), 2 ** 31 - 1) };
  }
}
