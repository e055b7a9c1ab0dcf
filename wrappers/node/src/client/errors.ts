import type { NotMade } from "../connection/connection.js";
import type { Failure, Fault } from "../connection/event.js";
import type { Outcome } from "../connection/transaction.js";
import type { Ending } from "../wire/notification.js";
import type { Refusal, RefusalCode } from "../wire/refusal.js";

/**
 * The sort of a {@link NetSwapError} (docs/PORTING.md §3):
 *
 * - `refused`: the server refused the request, or the connection; see `code`.
 * - `aborted`: the server ended the request without a result: it is shutting down.
 * - `timed-out`: none of the request's bytes moved for its timeout, or there was no connection for so long.
 * - `connection-lost`: the connection ended before the reply was complete.
 * - `connect`: no connection could be made, or nothing answered the greeting.
 * - `protocol`: the server broke the protocol, or speaks another version of it, or says that this client broke it.
 * - `limit`: a limit of this client: too many requests at once, or an answer longer than `maxReply`.
 * - `io`: the stream that an upload reads, or a download writes, failed or ended early.
 * - `closed`: the client was closed, or its connection is lost and it does not connect again.
 * - `ended`: the record that a mirror follows is gone, or may not be read any more.
 */
export type ErrorKind =
  | "refused" | "aborted" | "timed-out" | "connection-lost" | "connect" | "protocol" | "limit" | "io" | "closed" | "ended";

/** What an error is made of. */
interface Details {
  readonly outcome?: Outcome;
  readonly retryable?: boolean;
  readonly refusal?: Refusal;
  readonly cause?: unknown;
}

/** Why a call failed, in a sentence that can be printed as it is. */
export class NetSwapError extends Error {
  /** The sort of error. */
  readonly kind: ErrorKind;
  /** What the server said, where it said something: the name of its reply (docs/PROTOCOL.md §4.1). */
  readonly code: RefusalCode | undefined;
  /** What the code leaves open: of INVALID_REQUEST 1 to 3, of QUOTA_EXCEEDED 1 to 8, of MALFORMED_PACKET 1 to 5. */
  readonly detail: number | undefined;
  /** The limit, of RECORD_TOO_LARGE in bytes, of QUOTA_EXCEEDED in what is limited. */
  readonly limit: bigint | undefined;
  /** Of VERSION_MISMATCH the version that the record has. */
  readonly version: bigint | undefined;
  /** Whether the request may have taken effect all the same. `"unknown"` only where it left whole and changes something. */
  readonly outcome: Outcome;
  /** Whether the same call may succeed later, and making it again cannot do a thing twice. */
  readonly retryable: boolean;

  /** @internal */
  constructor(kind: ErrorKind, message: string, details: Details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "NetSwapError";
    this.kind = kind;
    this.code = details.refusal?.code;
    this.detail = details.refusal?.detail;
    this.limit = details.refusal?.limit;
    this.version = details.refusal?.version;
    this.outcome = details.outcome ?? "not-done";
    this.retryable = details.retryable ?? false;
  }
}

/** The caller gave a call up, with its `signal`. `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = "AbortError";
  /** As Node's own calls have it. */
  readonly code = "ABORT_ERR";
  /** Whether the request may have taken effect all the same. */
  readonly outcome: Outcome;

  /** @internal */
  constructor(reason: unknown, outcome: Outcome) {
    super("the call was given up", { cause: reason });
    this.outcome = outcome;
  }
}

/** Why a connection ended. */
export type Disconnect =
  | { readonly kind: "ended" }
  | { readonly kind: "io"; readonly error: Error }
  | { readonly kind: "fault"; readonly fault: Fault };

const OUTCOMES = { "not-done": "nothing was changed", unknown: "it is not known whether it was done" } as const;

/** The error of a refusal. */
export function refused(refusal: Refusal): NetSwapError {
  return new NetSwapError("refused", refusal.message, { refusal, retryable: refusal.code === "QUOTA_EXCEEDED" });
}

/** The error of a call whose connection has ended. */
export function lost(cause: Disconnect, outcome: Outcome): NetSwapError {
  const told = ` (${OUTCOMES[outcome]})`;
  const passing = { outcome, retryable: outcome === "not-done" };
  if (cause.kind === "ended") {
    return new NetSwapError("connection-lost", `the server closed the connection${told}`, passing);
  }
  if (cause.kind === "io") {
    const message = `the connection was lost: ${cause.error.message}${told}`;
    return new NetSwapError("connection-lost", message, { ...passing, cause: cause.error });
  }
  const { fault } = cause;
  switch (fault.kind) {
    case "violation":
      return new NetSwapError("protocol", fault.message + told, { outcome });
    case "reported":
      return new NetSwapError("protocol", fault.refusal.message + told, { outcome, refusal: fault.refusal });
    case "refused":
      return refused(fault.refusal);
    case "dead":
      return new NetSwapError("connection-lost", `the server does not answer any more${told}`, passing);
  }
}

/** The error of a transaction that ended without a reply; `cause` is why its connection ended, where it did. */
export function failed(failure: Failure, outcome: Outcome, cause: Disconnect | undefined): NetSwapError | TypeError {
  const told = ` (${OUTCOMES[outcome]})`;
  const details = { outcome, retryable: outcome === "not-done" };
  switch (failure.kind) {
    case "aborted":
      return new NetSwapError("aborted", `the server ended the request without a result${told}`, details);
    case "timed-out":
      return new NetSwapError("timed-out", `the request timed out${told}`, details);
    case "torn":
      return torn();
    case "too-long": {
      const message = `the answer has ${failure.length} bytes, more than the ${failure.limit} bytes that this client takes`;
      return new NetSwapError("limit", message);
    }
    case "connection-lost":
      return cause === undefined ? closed() : lost(cause, outcome);
  }
}

/** There was no connection for too long. */
export function noConnection(): NetSwapError {
  return new NetSwapError("timed-out", "there was no connection for too long; nothing was sent", { retryable: true });
}

/** The caller's data are not there any more. */
export function torn(): TypeError {
  return new TypeError("data must stay in their memory until the call has ended: it was transferred or made smaller");
}

/** The client is closed. */
export function closed(): NetSwapError {
  return new NetSwapError("closed", "the client is closed");
}

/** No connection could be made. */
export function notConnected(address: string, cause: Error): NetSwapError {
  return new NetSwapError("connect", `cannot connect to ${address}: ${cause.message}`, { retryable: true, cause });
}

/** Nothing answered in time. */
export function noAnswer(address: string, milliseconds: number): NetSwapError {
  return new NetSwapError("connect", `cannot connect to ${address}: no answer within ${milliseconds} ms`, { retryable: true });
}

/** The server speaks another version. */
export function otherVersion(version: number): NetSwapError {
  return new NetSwapError("protocol", `the server speaks version ${version} of the protocol, and this client version 1`);
}

/** A request was not made, because of a limit of this client. */
export function notMade(why: NotMade, limit: number): NetSwapError {
  if (why === "ended") {
    return new NetSwapError("connection-lost", "the connection was lost; nothing was sent", { retryable: true });
  }
  return why === "too-many"
    ? new NetSwapError("limit", `too many requests at once: this client's limit is ${limit}`, { retryable: true })
    : new NetSwapError("limit", "the data are longer than the protocol can carry, which is less than 4 GiB");
}

/** The caller's stream failed. */
export function streamFailed(doing: string, cause: unknown): NetSwapError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new NetSwapError("io", `${doing}: ${message}`, { cause });
}

/** The caller's stream ended early. */
export function streamTooShort(read: number, expected: number): NetSwapError {
  return new NetSwapError("io", `the data to be sent ended after ${read} of ${expected} bytes`);
}

const ENDINGS: Readonly<Record<Ending, string>> = {
  deleted: "the record was deleted",
  expired: "the record's time was over",
  "access-lost": "the record may not be read any more",
};

/** The record that a mirror follows has ended. */
export function endedRecord(ending: Ending): NetSwapError {
  return new NetSwapError("ended", ENDINGS[ending]);
}
