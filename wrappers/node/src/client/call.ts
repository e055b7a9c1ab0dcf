import type { Failure } from "../connection/event.js";
import type { Outcome, RequestOptions, Transaction } from "../connection/transaction.js";
import type { Reply } from "../wire/reply.js";
import type { Request } from "../wire/request.js";
import { AbortError, failed, refused, type Disconnect } from "./errors.js";
import type { Link } from "./link.js";
import type { Session } from "./session.js";
import type { Waiter } from "./waiter.js";

/** One call: its request goes to the connection, its answer comes back, and when it is given up it is aborted. */
export class Call implements Waiter {
  /** Where it is under way, once it is. */
  link: Link | undefined = undefined;
  transaction: Transaction<Waiter> | undefined = undefined;
  settled = false;
  /** The timer of a call that waits for a connection. */
  timer: NodeJS.Timeout | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;

  constructor(
    readonly session: Session,
    readonly request: Request,
    readonly options: RequestOptions,
    readonly resolve: (reply: Reply) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  /** Whether it waits for something that may not come for long, which ends with the client. */
  get patient(): boolean {
    return this.options.wait !== undefined;
  }

  /** Has the signal give the call up. `false` when it has done so already. */
  listen(signal: AbortSignal): boolean {
    if (signal.aborted) {
      this.settle();
      this.reject(new AbortError(signal.reason, "not-done"));
      return false;
    }
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    return true;
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason;
    if (!this.settled) this.reject(new AbortError(reason, this.abandon()));
  };

  /** Nobody waits for it any more. */
  abandon(): Outcome {
    const { link, transaction } = this;
    const outcome = link !== undefined && transaction !== undefined ? link.abort(transaction) : undefined;
    this.settle();
    return outcome ?? "not-done";
  }

  /** It has ended, in whatever way. */
  settle(): void {
    if (this.settled) return;
    this.settled = true;
    if (this.#signal !== undefined) this.#signal.removeEventListener("abort", this.#onAbort);
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.session.settled(this);
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.settle();
    this.reject(error);
  }

  replied(reply: Reply): void {
    if (this.settled) return;
    this.settle();
    if (reply.kind === "refused") this.reject(refused(reply.refusal));
    else this.resolve(reply);
  }

  ended(failure: Failure, outcome: Outcome, cause: Disconnect | undefined): void {
    this.fail(failed(failure, outcome, cause));
  }

  /** What only streams and watches hear of. */
  piece(_data: Buffer, _total: number): void {}
  wanted(): void {}
  watching(_version: bigint): void {}
  notified(): void {}
}
