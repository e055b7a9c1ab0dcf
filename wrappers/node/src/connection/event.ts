import type { Notification } from "../wire/notification.js";
import type { Refusal } from "../wire/refusal.js";
import type { Reply } from "../wire/reply.js";
import type { Outcome } from "./transaction.js";

/** Why a transaction ended without a reply. */
export type Failure =
  /** The server ended it with an ABORT (docs/PROTOCOL.md §2.5). */
  | { readonly kind: "aborted" }
  /** None of its packets moved for too long. */
  | { readonly kind: "timed-out" }
  /** The connection ended before the reply was complete. */
  | { readonly kind: "connection-lost" }
  /** Its data are not there any more: their memory was transferred or made smaller before they had left. */
  | { readonly kind: "torn" }
  /** The reply has more data than are taken whole; both in bytes. */
  | { readonly kind: "too-long"; readonly length: number; readonly limit: number };

/** Something happened to a transaction, which its caller knows by its `owner`. */
export type Event<T> =
  /** The server has answered. Of data that came in pieces this is the rest. The last event. */
  | { readonly event: "replied"; readonly owner: T; readonly reply: Reply }
  /** The next data of a record that is read in pieces, to be reported as consumed, and the bytes of the whole record. */
  | { readonly event: "piece"; readonly owner: T; readonly data: Buffer; readonly total: number }
  /** More of an upload's data can be provided. */
  | { readonly event: "wanted"; readonly owner: T }
  /** The record is watched from now on, and has this version. */
  | { readonly event: "watching"; readonly owner: T; readonly version: bigint }
  /** A watched record has changed; to be reported as consumed by its weight. A final one is the last event. */
  | { readonly event: "notified"; readonly owner: T; readonly notification: Notification }
  /** It has ended without a reply. The last event. */
  | { readonly event: "ended"; readonly owner: T; readonly failure: Failure; readonly outcome: Outcome };

/** Why a connection is of no more use. */
export type Fault =
  /** The server broke the protocol (docs/PROTOCOL.md §8.1). */
  | { readonly kind: "violation"; readonly message: string }
  /** The server says that this client did (§5.1). */
  | { readonly kind: "reported"; readonly refusal: Refusal }
  /** The server has no room for the connection (§4.2, quotas 7 and 8). */
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** The server leaves an ABORT unanswered, and nothing moves. */
  | { readonly kind: "dead" };
