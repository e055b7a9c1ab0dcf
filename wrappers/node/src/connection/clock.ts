import type { Transaction } from "./transaction.js";

/** When a client has waited long enough. Times are in milliseconds of a clock that does not go backwards. */
export class Clock {
  /**
   * No deadline is before this. Deadlines move away when packets move, and are only looked at when this has come, so that
   * packets cost nothing.
   */
  check = Infinity;
  /** When bytes moved last, in either direction. */
  active = 0;
  /** When the client last began to read again: while it does not read, nothing can time out. */
  resumed = 0;

  /** There is a deadline that may be before all others. */
  watch(deadline: number): void {
    if (deadline < this.check) this.check = deadline;
  }

  /**
   * When a transaction has waited too long. The terminal of an abandoned one may take its time, as long as anything moves
   * on the connection.
   */
  deadline(transaction: Transaction<unknown>, idleTimeout: number): number {
    const moved = Math.max(transaction.moved, this.resumed);
    return transaction.abandoned ? Math.max(moved, this.active) + idleTimeout : moved + transaction.patience;
  }
}
