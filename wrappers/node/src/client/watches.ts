import type { Failure } from "../connection/event.js";
import type { Outcome, Transaction } from "../connection/transaction.js";
import { weight, type Notification } from "../wire/notification.js";
import type { Reply } from "../wire/reply.js";
import { watchRecord, type Request } from "../wire/request.js";
import type { Pointer } from "../wire/values.js";
import { Backlog } from "./backlog.js";
import type { Change } from "./change.js";
import { AbortError, closed, failed, notMade, refused, type Disconnect } from "./errors.js";
import type { Link } from "./link.js";
import type { Session } from "./session.js";
import type { Waiter } from "./waiter.js";

/** Watches that are armed again at the same time at most: they leave room to calls. */
const ARMED_AT_ONCE = 64;

/** The watches of a client, across its connections: which have to be armed again. */
export class Watches {
  readonly all = new Set<WatchState>();
  /** Those that are to be armed again, the oldest first. */
  #waiting: WatchState[] = [];
  /** How many have been asked for and have not got their OK. */
  asked = 0;
  /** Whether there will be no more connections: what ends now is no interruption. */
  noMore = false;

  constructor(readonly session: Session) {}

  expectTheEnd(): void {
    this.noMore = true;
  }

  /** Whether somebody waits for the beginning of a watch. */
  get anyBegins(): boolean {
    for (const state of this.all) if (state.begins) return true;
    return false;
  }

  /** There is a new connection: all watches are to be armed again. */
  armAll(): void {
    this.#waiting = [...this.all].filter((state) => state.stage === "unarmed");
    this.arm();
  }

  /** A watch is to be armed again on this connection. */
  again(state: WatchState): void {
    this.#waiting.push(state);
  }

  /** Arms those that wait for it, as many as may be at once. */
  arm(): void {
    const { link } = this.session;
    while (link !== undefined && this.#waiting.length > 0 && this.asked < ARMED_AT_ONCE) {
      const state = this.#waiting[0] as WatchState;
      if (state.stage === "unarmed" && !state.ask(link)) return;
      this.#waiting.shift();
    }
  }

  /** There will be no more connections. */
  endAll(error: () => Error): void {
    this.#waiting = [];
    for (const state of [...this.all]) state.end(error());
  }
}

/** One watch, whatever connection it is on. */
export class WatchState implements Waiter {
  /** Asked for, armed, to be armed again, or over. */
  stage: "asked" | "armed" | "unarmed" | "over" = "unarmed";
  /** The record's version when it was armed first. */
  version: bigint | undefined = undefined;
  /** Settled when it is armed first. */
  readonly begun: Promise<void>;
  readonly #watches: Watches;
  readonly #request: Request;
  readonly #backlog = new Backlog();
  #begin!: { resolve: () => void; reject: (error: unknown) => void };
  #link: Link | undefined = undefined;
  #transaction: Transaction<Waiter> | undefined = undefined;
  /** Whether the application was told of an interruption, and not of its end. */
  #interrupted = false;
  /** What comes after the last change, once. */
  #error: unknown = undefined;
  #readers: { resolve: (result: IteratorResult<Change, undefined>) => void; reject: (error: unknown) => void }[] = [];
  #signal: AbortSignal | undefined = undefined;

  constructor(watches: Watches, readonly pointer: Pointer, readonly push: boolean, readonly idleTimeout: number) {
    this.#watches = watches;
    this.#request = watchRecord(pointer, push);
    this.begun = new Promise((resolve, reject) => (this.#begin = { resolve, reject }));
    // Whoever asked awaits it too.
    this.begun.catch(() => {});
    watches.all.add(this);
  }

  /** Whether it was asked for and has never been armed. */
  get begins(): boolean {
    return this.version === undefined && this.stage === "asked";
  }

  /** Has the signal give it up. */
  listen(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => this.stop(new AbortError(this.#signal?.reason, "not-done"));

  /** Asks the server. `false` when there is no room for another request now. */
  ask(link: Link): boolean {
    const made = link.machine.request(this, this.#request, { idleTimeout: this.idleTimeout }, performance.now());
    if (typeof made === "string") {
      if (this.version === undefined) this.end(notMade(made, this.#watches.session.settings.maxRequests));
      return false;
    }
    this.#link = link;
    this.#transaction = made;
    this.stage = "asked";
    this.#watches.asked += 1;
    link.wake();
    return true;
  }

  /** The next change. */
  next(): Promise<IteratorResult<Change, undefined>> {
    const value = this.#backlog.pop();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.stage !== "over") {
      return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    }
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error as Error);
  }

  /** The next change, if there is one already. */
  tryNext(): Change | undefined {
    return this.#backlog.pop();
  }

  /** Nobody wants to hear of it any more, or only this error. */
  stop(error?: unknown): void {
    if (this.stage === "over") return;
    const [link, transaction] = [this.#link, this.#transaction];
    while (this.#backlog.pop() !== undefined);
    this.end(error);
    if (link !== undefined && transaction !== undefined) link.abort(transaction);
  }

  /** Nothing more comes, but this error once. */
  end(error: unknown): void {
    if (this.stage === "over") return;
    const { begins } = this;
    this.#leave("over");
    this.#watches.all.delete(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    if (this.version === undefined) this.#begin.reject(error ?? closed());
    else this.#error = error;
    const readers = this.#readers;
    this.#readers = [];
    for (const reader of readers) this.next().then(reader.resolve, reader.reject);
    if (begins) this.#watches.session.checkClosing();
  }

  #leave(stage: "over" | "unarmed" | "armed"): void {
    if (this.stage === "asked") this.#watches.asked -= 1;
    this.stage = stage;
    if (stage === "armed") return;
    this.#link = undefined;
    this.#transaction = undefined;
  }

  /** Adds a change, or gives it to whoever waits for one. */
  #tell(change: Change): boolean {
    const reader = this.#readers.shift();
    if (reader === undefined) return this.#backlog.push(change);
    reader.resolve({ done: false, value: change });
    return true;
  }

  watching(version: bigint): void {
    if (this.stage !== "asked") return;
    const { begins } = this;
    this.#leave("armed");
    this.#interrupted = false;
    if (this.version === undefined) {
      this.version = version;
      this.#begin.resolve();
    } else {
      // The whole record is told again: nothing is lost if this tears what was told before.
      this.#tell({ change: "resumed", version });
    }
    if (begins) this.#watches.session.checkClosing();
  }

  notified(notification: Notification): void {
    const [link, transaction] = [this.#link, this.#transaction];
    if (this.stage !== "armed" || link === undefined || transaction === undefined) return;
    const kept = this.#tell(notification);
    switch (notification.change) {
      case "deleted":
      case "expired":
      case "access-lost":
        this.end(undefined);
        return;
      default:
    }
    if (kept) {
      link.consumed(transaction, weight(notification));
    } else {
      // A watch that begins anew is told of the whole record.
      this.#leave("unarmed");
      link.abort(transaction);
      this.#watches.again(this);
    }
  }

  replied(reply: Reply): void {
    if (reply.kind === "refused") this.end(refused(reply.refusal));
  }

  ended(failure: Failure, outcome: Outcome, cause: Disconnect | undefined): void {
    if (this.stage === "over" || this.stage === "unarmed") return;
    const goesOn = this.version !== undefined && (failure.kind === "connection-lost" || failure.kind === "aborted");
    if (!goesOn) {
      this.end(failed(failure, outcome, cause));
      return;
    }
    this.#leave("unarmed");
    if (this.#watches.noMore || this.#interrupted) return;
    this.#interrupted = true;
    // As above.
    this.#tell({ change: "interrupted" });
  }

  piece(_data: Buffer, _total: number): void {}
  wanted(): void {}
}
