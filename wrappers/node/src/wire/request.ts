import { Opcode } from "./opcode.js";
import type { Owner, Pointer, Version } from "./values.js";

/**
 * A request: what its packets carry (docs/PROTOCOL.md §3.1). The operands stand first in the payload; the data follow.
 */
export interface Request {
  readonly opcode: number;
  readonly access: number;
  readonly operands: Uint8Array;
  /** The data; none where there are none, and where they are given piece by piece. */
  readonly data: Uint8Array | undefined;
  /** Bytes of data, at most 2^32 - 1 less the operands. */
  readonly length: number;
  /** How many bytes a READ_RANGE asks for; else `undefined`. */
  readonly range: number | undefined;
  /** Whether a RESOLVE_IF_CHANGED says that its caller has nothing: there is nothing that can be unchanged. */
  readonly hasNothing: boolean;
}

const NONE = new Uint8Array(0);
const scratch = new Uint8Array(24);
const view = new DataView(scratch.buffer);

/** The first bytes of what was last written to the scratch memory. */
function operands(length: number): Uint8Array {
  return scratch.slice(0, length);
}

function message(opcode: number, access: number, ops: Uint8Array, data?: Uint8Array, length = 0): Request {
  return {
    opcode, access, operands: ops, data, length: data === undefined ? length : data.length, range: undefined,
    hasNothing: false,
  };
}

/** A request whose only operand is a pointer, or whose data follow one. */
function of(opcode: number, pointer: Pointer, access = 0, data?: Uint8Array, length = 0): Request {
  view.setBigUint64(0, pointer);
  return message(opcode, access, operands(8), data, length);
}

/** Data that are here, or the length of those that are given piece by piece. */
export type Body = Uint8Array | number;

function bodied(opcode: number, access: number, ops: Uint8Array, body: Body): Request {
  return typeof body === "number" ? message(opcode, access, ops, undefined, body) : message(opcode, access, ops, body);
}

/** CREATE_RECORD (docs/PROTOCOL.md §3.4). */
export function createRecord(access: number, body: Body): Request {
  return bodied(Opcode.CREATE_RECORD, access, NONE, body);
}

/** UPDATE_RECORD_PERMISSIONS (§3.5). */
export function updateRecordPermissions(pointer: Pointer, access: number): Request {
  return of(Opcode.UPDATE_RECORD_PERMISSIONS, pointer, access);
}

/** RESOLVE_POINTER (§3.6). */
export function resolvePointer(pointer: Pointer): Request {
  return of(Opcode.RESOLVE_POINTER, pointer);
}

/** REPLACE_RECORD (§3.7). */
export function replaceRecord(pointer: Pointer, body: Body): Request {
  view.setBigUint64(0, pointer);
  return bodied(Opcode.REPLACE_RECORD, 0, operands(8), body);
}

/** DELETE_RECORD (§3.8). */
export function deleteRecord(pointer: Pointer): Request {
  return of(Opcode.DELETE_RECORD, pointer);
}

/** TAKEOVER_RECORD (§3.9). */
export function takeoverRecord(pointer: Pointer): Request {
  return of(Opcode.TAKEOVER_RECORD, pointer);
}

/** TRANSFER_RECORD (§3.10). */
export function transferRecord(pointer: Pointer, owner: Owner): Request {
  view.setBigUint64(0, pointer);
  view.setBigUint64(8, owner);
  return message(Opcode.TRANSFER_RECORD, 0, operands(16));
}

/** IDENTIFY (§3.11). */
export function identify(): Request {
  return message(Opcode.IDENTIFY, 0, NONE);
}

/** PING (§3.12). */
export function ping(data: Uint8Array): Request {
  return message(Opcode.PING, 0, NONE, data);
}

/** STAT_RECORD (§3.13). */
export function statRecord(pointer: Pointer): Request {
  return of(Opcode.STAT_RECORD, pointer);
}

/** LIST_RECORDS (§3.14). */
export function listRecords(): Request {
  return message(Opcode.LIST_RECORDS, 0, NONE);
}

/** READ_RANGE (§3.15). */
export function readRange(pointer: Pointer, offset: number, length: number): Request {
  view.setBigUint64(0, pointer);
  view.setUint32(8, offset);
  view.setUint32(12, length);
  return { ...message(Opcode.READ_RANGE, 0, operands(16)), range: length };
}

/** WRITE_RANGE (§3.16). */
export function writeRange(pointer: Pointer, offset: number, body: Body): Request {
  view.setBigUint64(0, pointer);
  view.setUint32(8, offset);
  return bodied(Opcode.WRITE_RANGE, 0, operands(12), body);
}

/** APPEND (§3.17). */
export function append(pointer: Pointer, body: Body): Request {
  view.setBigUint64(0, pointer);
  return bodied(Opcode.APPEND, 0, operands(8), body);
}

/** COMPARE_AND_REPLACE (§3.18). */
export function compareAndReplace(pointer: Pointer, version: Version, body: Body): Request {
  view.setBigUint64(0, pointer);
  view.setBigUint64(8, version);
  return bodied(Opcode.COMPARE_AND_REPLACE, 0, operands(16), body);
}

/** FETCH_ADD (§3.19). */
export function fetchAdd(pointer: Pointer, offset: number, delta: bigint): Request {
  view.setBigUint64(0, pointer);
  view.setUint32(8, offset);
  view.setBigInt64(12, delta);
  return message(Opcode.FETCH_ADD, 0, operands(20));
}

/** RESOLVE_IF_CHANGED (§3.20). */
export function resolveIfChanged(pointer: Pointer, version: Version): Request {
  view.setBigUint64(0, pointer);
  view.setBigUint64(8, version);
  return { ...message(Opcode.RESOLVE_IF_CHANGED, 0, operands(16)), hasNothing: version === 0n };
}

/** WATCH_RECORD, with the record's data or without (§3.21). */
export function watchRecord(pointer: Pointer, push: boolean): Request {
  return of(Opcode.WATCH_RECORD, pointer, push ? 1 : 0);
}

/** RESERVE_RECORD (§3.22). */
export function reserveRecord(access: number): Request {
  return message(Opcode.RESERVE_RECORD, access, NONE);
}

/** SET_LIFETIME, in seconds: a grace of 0xFFFFFFFF is the server's default, a ttl or an heir of 0 is none (§3.23). */
export function setLifetime(pointer: Pointer, grace: number, ttl: number, heir: Owner): Request {
  view.setBigUint64(0, pointer);
  view.setUint32(8, grace);
  view.setUint32(12, ttl);
  view.setBigUint64(16, heir);
  return message(Opcode.SET_LIFETIME, 0, operands(24));
}

/** REQUEST_OWNERSHIP (§3.24). */
export function requestOwnership(pointer: Pointer): Request {
  return of(Opcode.REQUEST_OWNERSHIP, pointer);
}
