import { Code, Opcode } from "./opcode.js";
import { readU16, readU32, readU64 } from "./packet.js";
import { details, readRefusal, type Refusal } from "./refusal.js";
import { accessOf, type Access, type Owner, type Pointer, type Version } from "./values.js";

/** Who the caller is, and what the server allows (docs/PROTOCOL.md §3.11). */
export interface Identity {
  /** The caller's own hash. */
  readonly owner: Owner;
  /** The version of the protocol that the server speaks. */
  readonly protocol: number;
  /** The most bytes of payload in a packet. */
  readonly packet: number;
  /** The longest record, in bytes. */
  readonly record: number;
  /** For how many seconds records outlive their owner's last connection, rounded up. */
  readonly grace: number;
}

/** The state of a record (docs/PROTOCOL.md §3.13). */
export interface Stat {
  /** Bytes of data; 0 while it is reserved. */
  readonly length: number;
  readonly version: Version;
  readonly owner: Owner;
  readonly access: Access;
  /** Whether it has data, or is reserved and has none yet. */
  readonly state: "live" | "reserved";
  /** In how many seconds it ends, rounded up; `undefined` where no end is in sight. */
  readonly expires: number | undefined;
}

/** A complete reply. */
export type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "pointer"; readonly pointer: Pointer }
  | { readonly kind: "data"; readonly data: Buffer }
  | { readonly kind: "written"; readonly version: Version }
  | { readonly kind: "identity"; readonly identity: Identity }
  | { readonly kind: "stat"; readonly stat: Stat }
  | { readonly kind: "pointers"; readonly pointers: Pointer[] }
  | { readonly kind: "range"; readonly version: Version; readonly length: number; readonly data: Buffer }
  | { readonly kind: "appended"; readonly version: Version; readonly offset: number }
  | { readonly kind: "added"; readonly version: Version; readonly value: bigint }
  | { readonly kind: "changed"; readonly version: Version; readonly data: Buffer }
  | { readonly kind: "unchanged" }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** The lengths that a reply may have: exactly `fixed`, or at least so many; a list has whole pointers. */
export interface Lengths {
  readonly fixed: number;
  readonly open: boolean;
  readonly unit: number;
}

const exactly = (fixed: number): Lengths => ({ fixed, open: false, unit: 1 });
const atLeast = (fixed: number, unit = 1): Lengths => ({ fixed, open: true, unit });

const [L0, L1, L4, L8, L12, L16, L20, L26] = [0, 1, 4, 8, 12, 16, 20, 26].map(exactly) as [
  Lengths, Lengths, Lengths, Lengths, Lengths, Lengths, Lengths, Lengths,
];
const ANY = atLeast(0);
const ANY_8 = atLeast(8);
const ANY_12 = atLeast(12);
const LIST = atLeast(0, 8);

/** The lengths of OK by operation; those that are answered with RESOLVED have none. */
const OK: readonly (Lengths | undefined)[] = [
  L8, L0, undefined, L8, L0, L0, L0, L20, undefined, L26, undefined, L8, L12, L8, L16, undefined, L8, LIST, L8, L0, L0,
];

/** Whether a reply may have this length. */
export function allows(lengths: Lengths, length: number): boolean {
  return lengths.open ? length >= lengths.fixed && length % lengths.unit === 0 : length === lengths.fixed;
}

/** How many bytes of a reply of this length are the record's, or whatever else has no fixed length. */
export function dataIn(lengths: Lengths, length: number): number {
  return lengths.open ? length - lengths.fixed : 0;
}

/**
 * The lengths that a reply of this code and ACCESS byte to this operation may have, so that it can be judged by its first
 * header; `undefined` where no such reply can be (docs/PROTOCOL.md §4.1, §8.1). `payload` is the length of the request.
 */
export function replyLengths(opcode: number, code: number, access: number, payload: number): Lengths | undefined {
  if (code === Code.OK) {
    if (access !== 0) return undefined;
    return opcode === Opcode.PING ? exactly(payload) : OK[opcode];
  }
  if (code === Code.RESOLVED) {
    if (opcode === Opcode.RESOLVE_POINTER) return access === 0 ? ANY : undefined;
    if (opcode === Opcode.RESOLVE_IF_CHANGED) return access === 1 ? ANY_8 : undefined;
    if (opcode === Opcode.READ_RANGE) return access === 3 ? ANY_12 : undefined;
    return undefined;
  }
  const most = details(code);
  if (most === 0 ? access !== 0 : access < 1 || access > most) return undefined;
  switch (code) {
    case Code.ACCESS_VIOLATION:
    case Code.ADDRESS_FAULT:
    case Code.MALFORMED_PACKET:
    case Code.INVALID_REQUEST:
    case Code.UNSUPPORTED_OP:
      return L0;
    case Code.RECORD_TOO_LARGE:
      return L4;
    case Code.QUOTA_EXCEEDED:
      return L8;
    case Code.VERSION_MISMATCH:
      return opcode === Opcode.COMPARE_AND_REPLACE ? L8 : undefined;
    case Code.NOT_MODIFIED:
      return opcode === Opcode.RESOLVE_IF_CHANGED ? L0 : undefined;
    default:
      return undefined;
  }
}

const DONE: Reply = { kind: "done" };
const UNCHANGED: Reply = { kind: "unchanged" };

/**
 * Reads a complete reply of which {@link replyLengths} allows the length. Data are parts of `payload`. `undefined` where a
 * field has a value that it must not have.
 */
export function readReply(opcode: number, code: number, access: number, payload: Buffer): Reply | undefined {
  switch (code) {
    case Code.OK:
      return readOk(opcode, payload);
    case Code.RESOLVED:
      if (opcode === Opcode.RESOLVE_POINTER) return { kind: "data", data: payload };
      if (opcode === Opcode.RESOLVE_IF_CHANGED) {
        return { kind: "changed", version: readU64(payload, 0), data: payload.subarray(8) };
      }
      return {
        kind: "range", version: readU64(payload, 0), length: readU32(payload, 8), data: payload.subarray(12),
      };
    case Code.NOT_MODIFIED:
      return UNCHANGED;
    default: {
      const refusal = readRefusal(opcode, code, access, payload);
      return refusal && { kind: "refused", refusal };
    }
  }
}

function readOk(opcode: number, payload: Buffer): Reply | undefined {
  switch (opcode) {
    case Opcode.CREATE_RECORD:
    case Opcode.RESERVE_RECORD:
      return { kind: "pointer", pointer: readU64(payload, 0) };
    case Opcode.REPLACE_RECORD:
    case Opcode.WRITE_RANGE:
    case Opcode.COMPARE_AND_REPLACE:
    case Opcode.WATCH_RECORD:
      return { kind: "written", version: readU64(payload, 0) };
    case Opcode.APPEND:
      return { kind: "appended", version: readU64(payload, 0), offset: readU32(payload, 8) };
    case Opcode.FETCH_ADD:
      return { kind: "added", version: readU64(payload, 0), value: BigInt.asIntN(64, readU64(payload, 8)) };
    case Opcode.PING:
      return { kind: "data", data: payload };
    case Opcode.IDENTIFY:
      return readIdentity(payload);
    case Opcode.STAT_RECORD:
      return readStat(payload);
    case Opcode.LIST_RECORDS: {
      const pointers: Pointer[] = [];
      for (let at = 0; at < payload.length; at += 8) pointers.push(readU64(payload, at));
      return { kind: "pointers", pointers };
    }
    default:
      return DONE;
  }
}

function readIdentity(payload: Buffer): Reply | undefined {
  const owner = readU64(payload, 0);
  if (owner === 0n) return undefined;
  return {
    kind: "identity",
    identity: {
      owner, protocol: readU16(payload, 8), packet: readU16(payload, 10), record: readU32(payload, 12),
      grace: readU32(payload, 16),
    },
  };
}

const NO_END = 0xffff_ffff;

function readStat(payload: Buffer): Reply | undefined {
  const owner = readU64(payload, 12);
  const access = accessOf(payload[20] as number);
  const state = payload[21] as number;
  if (owner === 0n || access === undefined || state > 1) return undefined;
  const expires = readU32(payload, 22);
  return {
    kind: "stat",
    stat: {
      length: readU32(payload, 0), version: readU64(payload, 4), owner, access, state: state === 0 ? "live" : "reserved",
      expires: expires === NO_END ? undefined : expires,
    },
  };
}

export { ANY_8, ANY_12, L0, L1, L8 };
