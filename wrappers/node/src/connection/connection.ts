import { Output } from "../wire/output.js";
import type { Lane } from "../wire/lane.js";
import { MAX_MESSAGE, PacketReader } from "../wire/packet.js";
import type { Request } from "../wire/request.js";
import { Clock } from "./clock.js";
import type { Event, Failure, Fault } from "./event.js";
import type { Incoming } from "./incoming.js";
import { takeFragment } from "./receive.js";
import { Sending, Transaction, type Outcome, type RequestOptions } from "./transaction.js";

/** While pieces and notifications of more bytes than this are not consumed, nothing is read. */
const HELD_AT_MOST = 4 * 1024 * 1024;

/** More of an upload is wanted when fewer bytes than this wait to be sent ... */
const LOW_WATER = 128 * 1024;

/** ... and then as many as make these. */
const HIGH_WATER = 256 * 1024;

/** The settings of a connection. Times are in milliseconds. */
export interface Config {
  /** The most bytes of data that a reply may have to be taken whole. */
  readonly maxReply: number;
  /** Transactions that may be open at once; watches that have got their OK do not count. */
  readonly maxRequests: number;
  /** How long the terminal of a transaction that was given up may take while nothing moves. */
  readonly idleTimeout: number;
  /** The id of the first transaction: 1, since servers refuse whole connections under id 0 (docs/PROTOCOL.md §4.2). */
  readonly firstXid?: number;
}

/** Why a request was not made: too many are open, its data are longer than a message can be, or the connection has ended. */
export type NotMade = "too-many" | "too-long" | "ended";

/**
 * The client's side of one connection (docs/PROTOCOL.md §8), as a state machine without sockets and clocks: requests
 * become bytes, bytes become events. `T` is what the caller knows a transaction by. Drive it so, in any order:
 *
 * - make `request`s, and `provide` the data of those that are streamed,
 * - write what `take` gives to the socket,
 * - while it `wantsRead`, pass what the socket gives to `handleInput`; at its end call `handleEnd`,
 * - call `handleTimeout` when `timeout` has come,
 * - take the events from `events`.
 *
 * `now` must not go backwards. After a fault, or `handleEnd`, every open transaction has ended with an event: close the
 * socket and begin again with a new one.
 */
export class Connection<T> {
  /** What has happened, to be taken by the caller. */
  events: Event<T>[] = [];
  readonly config: Config;
  /** @internal */
  readonly reader = new PacketReader();
  /** @internal */
  readonly clock = new Clock();
  /** @internal The server's refusal of the whole connection, while it arrives. */
  refusal: Incoming | undefined = undefined;
  /** @internal How many transactions are watches that have got their OK. */
  standing = 0;
  readonly #output = new Output();
  readonly #open = new Map<number, Transaction<T>>();
  #nextXid: number;
  #held = 0;
  #ended = false;
  #fault: Fault | undefined = undefined;
  #now = 0;

  constructor(config: Config) {
    this.config = config;
    this.#nextXid = config.firstXid ?? 1;
  }

  /** Makes a request; one without its data is provided with them. Tells why not, where it was not made. */
  request(owner: T, request: Request, options: RequestOptions, now: number): Transaction<T> | NotMade {
    if (this.#ended) return "ended";
    if (this.#open.size - this.standing >= this.config.maxRequests) return "too-many";
    if (request.length + request.operands.length > MAX_MESSAGE) return "too-long";
    while (this.#open.has(this.#nextXid)) this.#nextXid = (this.#nextXid + 1) >>> 0;
    const xid = this.#nextXid;
    this.#nextXid = (xid + 1) >>> 0;
    const transaction = new Transaction(xid, owner, request, options, now);
    this.#open.set(xid, transaction);
    this.#output.push(transaction.lane);
    this.clock.watch(now + options.idleTimeout);
    return transaction;
  }

  /** Gives an upload its next data, best not more than are wanted. What is beyond its length is ignored. */
  provide(transaction: Transaction<T>, data: Uint8Array): void {
    if (transaction.ungiven === 0 || transaction.sending !== Sending.Going || !this.#isOpen(transaction)) return;
    const given = data.length > transaction.ungiven ? data.subarray(0, transaction.ungiven) : data;
    transaction.lane.give(given);
    transaction.ungiven -= given.length;
    transaction.full = transaction.lane.given >= LOW_WATER;
    if (transaction.lane.ready) this.#output.ready(transaction.lane);
  }

  /** How many more bytes of an upload's data are wanted now. After 0 an event tells when it is worth asking again. */
  wanted(transaction: Transaction<T>): number {
    const { given } = transaction.lane;
    if (transaction.sending !== Sending.Going || given >= LOW_WATER) return 0;
    return Math.min(HIGH_WATER - given, transaction.ungiven);
  }

  /** Bytes of a request's data that have left. */
  sent(transaction: Transaction<T>): number {
    return Math.max(0, transaction.data - transaction.lane.remaining);
  }

  /**
   * Fills memory of at least 1400 bytes with what is to be sent, and tells how many bytes that is. They count as sent from
   * now on: a request of which the last byte is among them may take effect.
   */
  take(into: Uint8Array, now: number): number {
    if (this.#output.isEmpty) return 0;
    this.clock.active = now;
    this.#now = now;
    return this.#output.take(into, this.#took);
  }

  /** Whether there is something to be sent. */
  get wantsWrite(): boolean {
    return !this.#output.isEmpty;
  }

  readonly #took = (lane: Lane): void => {
    const transaction = this.#open.get(lane.xid);
    if (transaction === undefined) return;
    if (lane.isTorn) {
      this.giveUp(transaction, { kind: "torn" }, this.#now);
      return;
    }
    transaction.moved = this.#now;
    if (lane.remaining === 0) {
      transaction.sending = Sending.Gone;
      if (transaction.wait !== undefined) this.clock.watch(this.#now + transaction.wait);
    } else if (transaction.full && transaction.ungiven > 0 && lane.given < LOW_WATER) {
      transaction.full = false;
      this.events.push({ event: "wanted", owner: transaction.owner });
    }
  };

  /** Whether input is welcome: not while too much is not consumed, nor after the end. */
  get wantsRead(): boolean {
    return !this.#ended && this.#held <= HELD_AT_MOST;
  }

  /** Takes bytes that arrived, however they are cut. Tells what is wrong where the connection is of no more use. */
  handleInput(input: Uint8Array, now: number): Fault | undefined {
    if (this.#ended) return this.#fault;
    if (input.length > 0) this.clock.active = now;
    const reader = this.reader;
    let at = 0;
    while (reader.next(input, at)) {
      at = reader.end;
      const fault = takeFragment(this, input, now);
      if (fault !== undefined) {
        this.#end(fault);
        return fault;
      }
    }
    return undefined;
  }

  /** The connection has ended, orderly or not: every open transaction ends with an event. */
  handleEnd(): void {
    if (!this.#ended) this.#end(undefined);
  }

  /** When {@link handleTimeout} is to be called at the latest; `Infinity` for never. It may find nothing due then. */
  get timeout(): number {
    return this.wantsRead && this.#open.size > 0 ? this.clock.check : Infinity;
  }

  /** Gives up the transactions of which no packet has moved for too long. */
  handleTimeout(now: number): Fault | undefined {
    if (now < this.timeout) return undefined;
    this.clock.check = Infinity;
    const due: Transaction<T>[] = [];
    for (const transaction of this.#open.values()) {
      const deadline = this.clock.deadline(transaction, this.config.idleTimeout);
      if (deadline <= now) due.push(transaction);
      else this.clock.watch(deadline);
    }
    for (const transaction of due) {
      if (!transaction.abandoned) this.giveUp(transaction, { kind: "timed-out" }, now);
    }
    if (!due.some((transaction) => transaction.abandoned && transaction.moved < now)) return undefined;
    const fault: Fault = { kind: "dead" };
    this.#end(fault);
    return fault;
  }

  /** Bytes of pieces, or weight of notifications, are not held by the caller any more. */
  consumed(transaction: Transaction<T>, count: number, now: number): void {
    if (!this.#isOpen(transaction)) return;
    const consumed = Math.min(count, transaction.held);
    transaction.held -= consumed;
    this.#release(consumed, now);
  }

  /**
   * Gives up a transaction: what has not left of it is dropped, and the server is told where it must be
   * (docs/PROTOCOL.md §2.5). No event comes for it any more. Tells what is known of its effect; `undefined` when it has
   * ended already.
   */
  abort(transaction: Transaction<T>, now: number): Outcome | undefined {
    if (transaction.abandoned || !this.#isOpen(transaction)) return undefined;
    const unheard = transaction.sending === Sending.Going && !transaction.lane.begun;
    if (transaction.sending === Sending.Going) this.#cut(transaction);
    const outcome = transaction.outcome(transaction.sending === Sending.Gone);
    this.#release(transaction.abandon(now), now);
    if (this.events.length > 0) this.events = this.events.filter((event) => event.owner !== transaction.owner);
    if (unheard) {
      this.close(transaction);
      return outcome;
    }
    if (!transaction.told) this.#tell(transaction);
    this.clock.watch(now + this.config.idleTimeout);
    return outcome;
  }

  /** Transactions that are open, those included that were given up and wait for their terminal, and watches. */
  get open(): number {
    return this.#open.size;
  }

  /** @internal */
  get(xid: number): Transaction<T> | undefined {
    return this.#open.get(xid);
  }

  /** @internal Gives up a transaction on the client's own account. */
  giveUp(transaction: Transaction<T>, failure: Failure, now: number): void {
    const outcome = this.abort(transaction, now);
    if (outcome !== undefined) this.events.push({ event: "ended", owner: transaction.owner, failure, outcome });
  }

  /**
   * @internal Drops what has not left of a request that the server has ended, and tells it with an ABORT where it would
   * wait for the rest. `false` where nothing of it has left: the server cannot know of it.
   */
  cutOff(transaction: Transaction<T>, abort: boolean): boolean {
    if (transaction.sending !== Sending.Going) return true;
    if (!transaction.lane.begun) return false;
    this.#cut(transaction);
    if (abort) this.#tell(transaction);
    return true;
  }

  /** @internal Forgets a transaction whose terminal is here. */
  close(transaction: Transaction<T>): void {
    if (!this.#open.delete(transaction.xid)) return;
    this.#held -= transaction.held;
    if (transaction.stands) this.standing -= 1;
  }

  /** @internal The caller holds so many bytes more. */
  hold(transaction: Transaction<T>, count: number): void {
    transaction.held += count;
    this.#held += count;
  }

  #isOpen(transaction: Transaction<T>): boolean {
    return this.#open.get(transaction.xid) === transaction;
  }

  #cut(transaction: Transaction<T>): void {
    transaction.sending = Sending.Cut;
    this.#output.cancel(transaction.lane);
  }

  #tell(transaction: Transaction<T>): void {
    transaction.told = true;
    this.#output.abort(transaction.xid);
  }

  #release(count: number, now: number): void {
    const waited = !this.wantsRead;
    this.#held -= count;
    if (waited && this.wantsRead) this.clock.resumed = now;
  }

  #end(fault: Fault | undefined): void {
    // A connection that was refused has taken no request.
    const refused = fault?.kind === "refused";
    for (const transaction of this.#open.values()) {
      if (transaction.abandoned) continue;
      const outcome = transaction.outcome(transaction.sending === Sending.Gone && !refused);
      this.events.push({ event: "ended", owner: transaction.owner, failure: { kind: "connection-lost" }, outcome });
    }
    this.#open.clear();
    this.refusal = undefined;
    this.#held = 0;
    this.standing = 0;
    this.#ended = true;
    this.#fault = fault;
  }
}

