import { Lane } from "../wire/lane.js";
import { notificationLengths } from "../wire/notification.js";
import { Code, onlyReads, Opcode } from "../wire/opcode.js";
import type { PacketReader } from "../wire/packet.js";
import { dataIn, replyLengths, type Lengths } from "../wire/reply.js";
import type { Request } from "../wire/request.js";
import type { Incoming } from "./incoming.js";
import { Watching } from "./watching.js";

/**
 * What is known of the effect of a request that got no answer: it changed nothing and never will, or nobody knows
 * (docs/PROTOCOL.md §8.1).
 */
export type Outcome = "not-done" | "unknown";

/** How far a request has left: its last packet has not, it has, or the rest was dropped and never will. */
export const enum Sending { Going, Gone, Cut }

/** The settings of one request. Times are in milliseconds, `Infinity` for ever. */
export interface RequestOptions {
  /** How long it may go without any of its packets moving. */
  readonly idleTimeout: number;
  /** In the place of it from when the request has left until the answer begins: for reads that wait (§3.22). */
  readonly wait?: number | undefined;
  /** Whether the data of a RESOLVE_POINTER come in pieces. */
  readonly pieces?: boolean;
}

/** A transaction whose terminal has not arrived (docs/PROTOCOL.md §2.4). `owner` is what its caller knows it by. */
export class Transaction<T> {
  readonly opcode: number;
  /** Bytes of the request's payload, and of the data in it. */
  readonly payload: number;
  readonly data: number;
  readonly lane: Lane;
  readonly pieces: boolean;
  readonly idleTimeout: number;
  readonly wait: number | undefined;
  readonly watching: Watching | undefined;
  sending = Sending.Going;
  /** Whether an ABORT was queued. */
  told = false;
  /** Bytes of a streamed upload's data that were not given yet. */
  ungiven: number;
  /** Whether the caller has given enough for now. */
  full = false;
  /** The reply, or a watch's notification, while it arrives. */
  reply: Incoming | undefined = undefined;
  /** Bytes in pieces and notifications that the caller has not consumed. */
  held = 0;
  /** Whether the caller has heard its last of it, and only the terminal is awaited. */
  abandoned = false;
  /** When a packet of it moved last. */
  moved: number;
  /** What a PING carries. */
  #ping: Uint8Array | undefined;
  readonly #range: number | undefined;
  readonly #hasNothing: boolean;

  constructor(readonly xid: number, readonly owner: T, request: Request, options: RequestOptions, now: number) {
    this.opcode = request.opcode;
    this.data = request.length;
    this.payload = request.operands.length + request.length;
    this.lane = new Lane(xid, request);
    this.ungiven = request.data === undefined ? request.length : 0;
    this.pieces = options.pieces === true && request.opcode === Opcode.RESOLVE_POINTER;
    this.idleTimeout = options.idleTimeout;
    this.wait = options.wait;
    this.watching = request.opcode === Opcode.WATCH_RECORD ? new Watching(request.access === 1) : undefined;
    this.moved = now;
    this.#ping = request.opcode === Opcode.PING ? request.data : undefined;
    this.#range = request.range;
    this.#hasNothing = request.hasNothing;
  }

  /** The lengths that the message may have which begins with this header; `undefined` where it answers nothing. */
  lengths(header: PacketReader): Lengths | undefined {
    if (this.watching?.begun === true) {
      return header.code === Code.NOTIFY ? notificationLengths(header.access, this.watching.push) : undefined;
    }
    if (header.code === Code.NOT_MODIFIED && this.#hasNothing) return undefined;
    const lengths = replyLengths(this.opcode, header.code, header.access, this.payload);
    // Nobody is sent more of a range than was asked for.
    const tooLong = this.#range !== undefined && lengths !== undefined && dataIn(lengths, header.remaining) > this.#range;
    return tooLong ? undefined : lengths;
  }

  /** Whether it is a watch that stands: the server owes it nothing. */
  get stands(): boolean {
    return this.watching !== undefined && this.watching.begun;
  }

  /** How long it may go without a packet. */
  get patience(): number {
    if (this.reply !== undefined) return this.idleTimeout;
    if (this.stands) return Infinity;
    return this.wait !== undefined && this.sending === Sending.Gone ? this.wait : this.idleTimeout;
  }

  /** What can be said of its effect, when the request leaves whole or not at all. */
  outcome(whole: boolean): Outcome {
    return whole && !onlyReads(this.opcode) ? "unknown" : "not-done";
  }

  /** The caller wants no more of it. Gives back how much the caller held. */
  abandon(now: number): number {
    this.abandoned = true;
    this.moved = now;
    this.#ping = undefined;
    if (this.watching !== undefined) this.watching.abandoned = true;
    this.reply?.forget();
    const held = this.held;
    this.held = 0;
    return held;
  }

  /** Whether a PING got its own bytes back. */
  echoes(data: Buffer): boolean {
    return this.#ping === undefined || data.equals(this.#ping);
  }
}
