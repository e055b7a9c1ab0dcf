import { Code } from "../wire/opcode.js";
import { MAX_PAYLOAD, type PacketReader } from "../wire/packet.js";

/** A piece of a download is handed out as soon as it has this many bytes. */
const PIECE = 64 * 1024;

/** The first memory of a message of several packets, in bytes. */
const FIRST = 64 * 1024;

/**
 * How far memory goes beyond what has arrived, in times: steeply at first, since to begin anew costs more than the bytes do,
 * and less where it is much.
 */
function growth(arrived: number): number {
  if (arrived < 2 * FIRST) return 16;
  return arrived < 64 * FIRST ? 4 : 2;
}

const NONE = Buffer.alloc(0);

/** A reply or notification of which the first header has arrived. Memory follows the bytes that arrive, not REMAINING. */
export class Incoming {
  readonly code: number;
  readonly access: number;
  /** Bytes of the whole payload. */
  readonly total: number;
  /** REMAINING of the packet that must come next; 0 after the last. */
  #next: number;
  #data: Buffer = NONE;
  #length = 0;
  #handedOut = 0;

  constructor(header: PacketReader) {
    this.code = header.code;
    this.access = header.access;
    this.total = header.remaining;
    this.#next = header.remaining > MAX_PAYLOAD ? header.remaining - MAX_PAYLOAD : 0;
  }

  /** Whether this packet is the message's next (docs/PROTOCOL.md §2.2). */
  goesOnWith(header: PacketReader): boolean {
    const fits = this.#next > 0 && header.remaining === this.#next && header.code === this.code
      && header.access === this.access;
    this.#next = this.#next > MAX_PAYLOAD ? this.#next - MAX_PAYLOAD : 0;
    return fits;
  }

  /** Whether it is the data of a record. */
  get isRecord(): boolean {
    return this.code === Code.RESOLVED;
  }

  /** Takes bytes that arrived, to be kept until the end or, in pieces, for a while. */
  take(input: Uint8Array, start: number, end: number, pieces: boolean): void {
    const length = end - start;
    if (length === 0) return;
    if (this.#length + length > this.#data.length) this.#grow(this.#length + length, pieces);
    if (length < 32) {
      for (let index = 0; index < length; index += 1) this.#data[this.#length + index] = input[start + index] as number;
    } else {
      this.#data.set(input.subarray(start, end), this.#length);
    }
    this.#length += length;
  }

  /** The next piece, when there are bytes enough for one. */
  piece(): Buffer | undefined {
    return this.#length >= PIECE ? this.rest() : undefined;
  }

  /** The bytes that were not handed out. */
  rest(): Buffer {
    const rest = this.#length === this.#data.length ? this.#data : this.#data.subarray(0, this.#length);
    this.#handedOut += this.#length;
    this.forget();
    return rest;
  }

  /** Frees what is here. */
  forget(): void {
    this.#data = NONE;
    this.#length = 0;
  }

  #grow(needed: number, pieces: boolean): void {
    const left = this.total - this.#handedOut;
    let room = left;
    if (pieces) room = Math.min(left, PIECE + MAX_PAYLOAD);
    else if (left > FIRST) room = Math.min(left, Math.max(FIRST, needed * growth(this.#length)));
    // Of one packet the memory may be one of many in a block; what is large has its own.
    const data = Buffer.allocUnsafe(room);
    if (this.#length > 0) data.set(this.#data.subarray(0, this.#length));
    this.#data = data;
  }
}
