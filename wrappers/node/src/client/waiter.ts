import type { Failure } from "../connection/event.js";
import type { Outcome } from "../connection/transaction.js";
import type { Notification } from "../wire/notification.js";
import type { Reply } from "../wire/reply.js";
import type { Disconnect } from "./errors.js";

/** Who waits for a transaction: what a connection's events are passed on to. */
export interface Waiter {
  replied(reply: Reply): void;
  /** `cause` is why the connection has ended, where it has. */
  ended(failure: Failure, outcome: Outcome, cause: Disconnect | undefined): void;
  piece(data: Buffer, total: number): void;
  wanted(): void;
  watching(version: bigint): void;
  notified(notification: Notification): void;
}
