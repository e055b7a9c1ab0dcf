import { readU32, readU64 } from "./packet.js";
import { Code, Opcode } from "./opcode.js";

/** The names of the refusals (docs/PROTOCOL.md §4.1), and of the answer to a client that broke the protocol (§5.1). */
export type RefusalCode =
  | "ACCESS_VIOLATION" | "ADDRESS_FAULT" | "MALFORMED_PACKET" | "INVALID_REQUEST" | "UNSUPPORTED_OP"
  | "RECORD_TOO_LARGE" | "QUOTA_EXCEEDED" | "VERSION_MISMATCH";

/** A server's refusal of a request or a connection. */
export interface Refusal {
  readonly code: RefusalCode;
  /** Of INVALID_REQUEST 1 to 3, of QUOTA_EXCEEDED 1 to 8, of MALFORMED_PACKET 1 to 5 (docs/PROTOCOL.md §4.1). */
  readonly detail: number | undefined;
  /** Of RECORD_TOO_LARGE in bytes, of QUOTA_EXCEEDED in what is limited. */
  readonly limit: bigint | undefined;
  /** Of VERSION_MISMATCH the version that the record has. */
  readonly version: bigint | undefined;
  /** A sentence that can be printed as it is (docs/PROTOCOL.md §4.1, §4.2). */
  readonly message: string;
}

const BROKEN = "the server closed the connection because of a protocol violation by this client: ";

const MALFORMED = [
  "a packet does not continue its message",
  "an unknown operation is longer than the largest request",
  "an ABORT has a payload or flags",
  "a request uses the id of an active watch or waiting read",
  "too many refused requests were still being sent",
];

const INVALID = [
  "its access byte has bits that the operation does not take",
  "its payload has not the length that the operation takes",
  "a field has a value that it must not have",
];

const QUOTAS = [
  "the server's memory is used up: the limit is {limit} bytes",
  "the owner's records have too many bytes: the limit is {limit} bytes",
  "the owner has too many records: the limit is {limit}",
  "too many requests of this connection are unfinished: the limit is {limit}",
  "unfinished requests have too many bytes: the limit is {limit} bytes",
  "this connection has too many watches and waiting reads: the limit is {limit}",
  "the server has too many connections: the limit is {limit}",
  "this address has too many connections: the limit is {limit}",
];

/** How many details a code has: the ACCESS byte is 1 to so many, or 0 where there are none. */
export function details(code: number): number {
  switch (code) {
    case Code.MALFORMED_PACKET:
      return MALFORMED.length;
    case Code.INVALID_REQUEST:
      return INVALID.length;
    case Code.QUOTA_EXCEEDED:
      return QUOTAS.length;
    default:
      return 0;
  }
}

/** Reads a refusal of which the ACCESS byte and the length fit its code; `undefined` where the code is of none. */
export function readRefusal(opcode: number, code: number, access: number, payload: Uint8Array): Refusal | undefined {
  const refusal = (name: RefusalCode, message: string, more: Partial<Refusal> = {}): Refusal =>
    ({ code: name, message, detail: undefined, limit: undefined, version: undefined, ...more });
  switch (code) {
    case Code.ACCESS_VIOLATION:
      return refusal("ACCESS_VIOLATION", "the record's owner does not allow this to others");
    case Code.ADDRESS_FAULT: {
      const bytes = opcode === Opcode.FETCH_ADD ? ", or it does not have 8 bytes at this offset" : "";
      return refusal("ADDRESS_FAULT", `there is no record at this pointer${bytes}`);
    }
    case Code.MALFORMED_PACKET:
      return refusal("MALFORMED_PACKET", BROKEN + MALFORMED[access - 1], { detail: access });
    case Code.INVALID_REQUEST:
      return refusal("INVALID_REQUEST", `the request is not valid: ${INVALID[access - 1]}`, { detail: access });
    case Code.UNSUPPORTED_OP:
      return refusal("UNSUPPORTED_OP", "the server does not support this operation");
    case Code.RECORD_TOO_LARGE: {
      const limit = BigInt(readU32(payload, 0));
      const message = `the data are larger than the server's limit of ${limit} bytes a record`;
      return refusal("RECORD_TOO_LARGE", message, { limit });
    }
    case Code.QUOTA_EXCEEDED: {
      const limit = readU64(payload, 0);
      const message = (QUOTAS[access - 1] as string).replace("{limit}", String(limit));
      return refusal("QUOTA_EXCEEDED", message, { detail: access, limit });
    }
    case Code.VERSION_MISMATCH: {
      const version = readU64(payload, 0);
      return refusal("VERSION_MISMATCH", `the record has changed: its version is now ${version}`, { version });
    }
    default:
      return undefined;
  }
}
