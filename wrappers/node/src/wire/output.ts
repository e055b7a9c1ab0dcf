import type { Lane } from "./lane.js";
import { ABORT } from "./opcode.js";
import { HEADER_LENGTH, writeHeader } from "./packet.js";

/** What waits to be sent on one connection: requests that take turns, a packet each (docs/PROTOCOL.md §2.3), and ABORTs. */
export class Output {
  /** Those that have a turn, the next first; from `#next` on. */
  #turns: Lane[] = [];
  #next = 0;
  #aborts: number[] = [];

  /** Queues a request. One that lacks data waits for {@link ready}. */
  push(lane: Lane): void {
    if (lane.ready) this.ready(lane);
  }

  /** Gives a request its turns, of which the next packet is here. */
  ready(lane: Lane): void {
    if (lane.inTurn) return;
    lane.inTurn = true;
    this.#turns.push(lane);
  }

  /** Queues an ABORT. It goes before everything else. */
  abort(xid: number): void {
    this.#aborts.push(xid);
  }

  /** Drops what has not left of a request. */
  cancel(lane: Lane): void {
    if (!lane.inTurn) return;
    lane.inTurn = false;
    const at = this.#turns.indexOf(lane, this.#next);
    if (at >= 0) this.#turns.splice(at, 1);
  }

  /** Whether there is nothing that could be sent now. */
  get isEmpty(): boolean {
    return this.#next === this.#turns.length && this.#aborts.length === 0;
  }

  /**
   * Fills memory with the next packets, whole ones, and tells how many bytes they are. `took` hears of each request of
   * which a packet is among them, and of those that are torn. The memory must have room for a packet.
   */
  take(into: Uint8Array, took: (lane: Lane) => void): number {
    let at = 0;
    while (this.#aborts.length > 0 && at + HEADER_LENGTH <= into.length) {
      at = writeHeader(into, at, this.#aborts.shift() as number, 0, ABORT, 0);
    }
    const turns = this.#turns;
    while (this.#next < turns.length) {
      const lane = turns[this.#next] as Lane;
      if (at + lane.packetLength > into.length) break;
      at = lane.write(into, at);
      this.#next += 1;
      if (lane.remaining > 0 && lane.ready && !lane.isTorn) turns.push(lane);
      else lane.inTurn = false;
      took(lane);
    }
    if (this.#next === turns.length) {
      turns.length = 0;
      this.#next = 0;
    } else if (this.#next > 256) {
      turns.splice(0, this.#next);
      this.#next = 0;
    }
    return at;
  }
}
