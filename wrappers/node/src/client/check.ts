import { isUint8Array } from "node:util/types";
import { isGone } from "../wire/lane.js";
import { accessBits, shown, type Access } from "../wire/values.js";

/** Checks of arguments. Each throws a TypeError that names the argument, what it must be and what it is. */

function wrong(name: string, must: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${must}, not ${shown(value)}`);
}

const U64 = 0xffff_ffff_ffff_ffffn;

/** A pointer, owner or version: a bigint of 64 bits. */
export function u64(name: string, value: unknown): bigint {
  if (typeof value !== "bigint" || value < 0n || value > U64) throw wrong(name, "a bigint from 0n to 2n**64n-1n", value);
  return value;
}

/** A signed number of 64 bits. */
export function i64(name: string, value: unknown): bigint {
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
    throw wrong(name, "a bigint from -(2n**63n) to 2n**63n-1n", value);
  }
  return value;
}

/** An offset, a length or seconds: a whole number of 32 bits. */
export function u32(name: string, value: unknown): number {
  return whole(name, value, 0xffff_ffff);
}

/** A whole number from 0, or `least`, to `most`. */
export function whole(name: string, value: unknown, most: number, least = 0): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw wrong(name, `a whole number from ${least} to ${most}`, value);
  }
  return value;
}

/** A time in milliseconds: above 0, perhaps `Infinity`. */
export function milliseconds(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value > 0)) throw wrong(name, "a number of milliseconds above 0", value);
  return value;
}

/** Data: a Uint8Array, of which Buffer is one, of whatever realm, and with its memory. */
export function bytes(name: string, value: unknown): Uint8Array {
  if (!isUint8Array(value)) throw wrong(name, "a Uint8Array or Buffer", value);
  if (isGone(value) || (value.length === 0 && isDetached(value.buffer))) throw wrong(name, "a Uint8Array that has its memory", value);
  return value;
}

function isDetached(memory: ArrayBufferLike): boolean {
  try {
    new Uint8Array(memory);
    return false;
  } catch {
    return true;
  }
}

/** One of these words. */
export function word(name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string)) throw wrong(name, words.map((one) => `"${one}"`).join(", "), value);
}

/** Access letters, as bits. */
export function access(name: string, value: unknown): number {
  const bits = accessBits(value as Access);
  if (bits < 0) throw wrong(name, 'letters of "rwt" in this order, or "none"', value);
  return bits;
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw wrong(name, "true or false", value);
  return value;
}

export function callback<F>(name: string, value: F): F {
  if (typeof value !== "function") throw wrong(name, "a function", value);
  return value;
}

export function text(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw wrong(name, "a string with something in it", value);
  return value;
}

/** A bag of options: an object, or nothing. */
export function options<T extends object>(value: T | undefined): T | undefined {
  if (value !== undefined && (typeof value !== "object" || value === null)) throw wrong("options", "an object", value);
  return value;
}

export function signal(name: string, value: unknown): AbortSignal {
  if (!(value instanceof AbortSignal)) throw wrong(name, "an AbortSignal", value);
  return value;
}
