/** The operations (docs/PROTOCOL.md §3.1). */
export const Opcode = {
  CREATE_RECORD: 0,
  UPDATE_RECORD_PERMISSIONS: 1,
  RESOLVE_POINTER: 2,
  REPLACE_RECORD: 3,
  DELETE_RECORD: 4,
  TAKEOVER_RECORD: 5,
  TRANSFER_RECORD: 6,
  IDENTIFY: 7,
  PING: 8,
  STAT_RECORD: 9,
  READ_RANGE: 10,
  WRITE_RANGE: 11,
  APPEND: 12,
  COMPARE_AND_REPLACE: 13,
  FETCH_ADD: 14,
  RESOLVE_IF_CHANGED: 15,
  WATCH_RECORD: 16,
  LIST_RECORDS: 17,
  RESERVE_RECORD: 18,
  SET_LIFETIME: 19,
  REQUEST_OWNERSHIP: 20,
} as const;

/** The opcode and reply code of ABORT (docs/PROTOCOL.md §2.5). */
export const ABORT = 255;

/** The reply codes (docs/PROTOCOL.md §4.1). */
export const Code = {
  OK: 0,
  ACCESS_VIOLATION: 1,
  ADDRESS_FAULT: 2,
  RESOLVED: 3,
  MALFORMED_PACKET: 4,
  INVALID_REQUEST: 5,
  UNSUPPORTED_OP: 6,
  RECORD_TOO_LARGE: 7,
  QUOTA_EXCEEDED: 8,
  VERSION_MISMATCH: 9,
  NOT_MODIFIED: 10,
  NOTIFY: 11,
} as const;

/** The operations that change nothing: when one of them gets no answer, it can be repeated (docs/PORTING.md §3). */
const READING: ReadonlySet<number> = new Set([
  Opcode.RESOLVE_POINTER, Opcode.RESOLVE_IF_CHANGED, Opcode.READ_RANGE, Opcode.STAT_RECORD, Opcode.IDENTIFY,
  Opcode.PING, Opcode.LIST_RECORDS, Opcode.WATCH_RECORD,
]);

/** Whether an operation changes nothing. */
export function onlyReads(opcode: number): boolean {
  return READING.has(opcode);
}
