/** A network pointer: the u64 that addresses a record. Written with {@link formatPointer}. */
export type Pointer = bigint;

/** The u64 that stands for the address of a client, as the owner of records. Written with {@link formatOwner}. */
export type Owner = bigint;

/** The u64 that counts the writes of a record's data: 1 when it first has any, 0 while it is reserved. */
export type Version = bigint;

/**
 * What clients other than the owner may do with a record, as letters in this order: `r` read, watch and ask for it, `w`
 * write its data, `t` take it over. `"none"` is nothing (docs/PROTOCOL.md §1.5).
 */
export type Access = "none" | "r" | "w" | "rw" | "t" | "rt" | "wt" | "rwt";

/** The letters by the bits of the wire. */
const ACCESS: readonly Access[] = ["none", "r", "w", "rw", "t", "rt", "wt", "rwt"];

/** The bits of access letters; -1 where there are none of this spelling. */
export function accessBits(access: unknown): number {
  return ACCESS.indexOf(access as Access);
}

/** The letters of access bits; `undefined` where reserved bits are set. */
export function accessOf(bits: number): Access | undefined {
  return ACCESS[bits];
}

const U64 = 0xffff_ffff_ffff_ffffn;

/**
 * Writes a pointer as 16 lower-case hexadecimal digits (docs/PROTOCOL.md §1.4).
 *
 * @throws TypeError when it is no bigint of 64 bits.
 */
export function formatPointer(pointer: Pointer): string {
  return formatU64(pointer, "pointer");
}

/**
 * Reads a pointer: 16 hexadecimal digits, or the URL `netswap://HOST:PORT/POINTER` (docs/PROTOCOL.md §1.4).
 *
 * @throws TypeError when it is something else.
 */
export function parsePointer(text: string): Pointer {
  if (typeof text === "string" && text.startsWith("netswap://")) {
    return parseU64(text.slice(text.lastIndexOf("/") + 1), text, "pointer");
  }
  return parseU64(text, text, "pointer");
}

/**
 * Writes an owner as 16 lower-case hexadecimal digits.
 *
 * @throws TypeError when it is no bigint of 64 bits.
 */
export function formatOwner(owner: Owner): string {
  return formatU64(owner, "owner");
}

/**
 * Reads an owner: 16 hexadecimal digits.
 *
 * @throws TypeError when it is something else.
 */
export function parseOwner(text: string): Owner {
  return parseU64(text, text, "owner");
}

function formatU64(value: unknown, name: string): string {
  if (typeof value !== "bigint" || value < 0n || value > U64) {
    throw new TypeError(`${name} must be a bigint of 64 bits, not ${shown(value)}`);
  }
  return value.toString(16).padStart(16, "0");
}

function parseU64(digits: unknown, text: unknown, name: string): bigint {
  if (typeof digits !== "string" || !/^[0-9a-fA-F]{16}$/.test(digits)) {
    throw new TypeError(`${name} must be 16 hexadecimal digits, not ${shown(text)}`);
  }
  return BigInt(`0x${digits}`);
}

/** A value as an error names it: short, whatever it is. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "object": {
      if (value === null) return "null";
      if (Array.isArray(value)) return "an array";
      const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
      return typeof name === "string" && name !== "Object" && name !== "" ? `a ${name}` : "an object";
    }
    default:
      return String(value);
  }
}
