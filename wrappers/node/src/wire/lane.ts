import { HEADER_LENGTH, MAX_PAYLOAD, writeHeader } from "./packet.js";
import type { Request } from "./request.js";

/** Chunks that have left are forgotten so many at a time. */
const LEFT_AT_MOST = 1024;

/** A request on its way out, cut into packets (docs/PROTOCOL.md §2.2). */
export class Lane {
  /** Bytes of payload that have not left. */
  remaining: number;
  /** Whether a packet of it has left. */
  begun = false;
  /** Whether the output has it in turn; not while it lacks data. */
  inTurn = false;
  /** Bytes of data that were given and have not left. */
  given: number;
  /** Whether data that were given are not there any more: their memory was transferred or made smaller. */
  isTorn = false;

  readonly #opcode: number;
  readonly #access: number;
  readonly #operands: Uint8Array;
  readonly #chunks: Uint8Array[] = [];
  /** Which chunk the next data are in, since there may be very many ... */
  #first = 0;
  /** ... and where in it. */
  #at = 0;

  constructor(readonly xid: number, request: Request) {
    this.#opcode = request.opcode;
    this.#access = request.access;
    this.#operands = request.operands;
    this.remaining = request.operands.length + request.length;
    this.given = 0;
    if (request.data !== undefined) this.give(request.data);
  }

  /** Gives more data. */
  give(data: Uint8Array): void {
    if (data.length === 0) return;
    // Parts of a plain Uint8Array cost less than those of a Buffer.
    this.#chunks.push(data.length > MAX_PAYLOAD ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data);
    this.given += data.length;
  }

  /** Whether all bytes of the next packet are here. */
  get ready(): boolean {
    const here = this.given + (this.begun ? 0 : this.#operands.length);
    return here >= this.remaining || here >= MAX_PAYLOAD;
  }

  /** Bytes of the next packet, header included. */
  get packetLength(): number {
    return HEADER_LENGTH + (this.remaining < MAX_PAYLOAD ? this.remaining : MAX_PAYLOAD);
  }

  /**
   * Writes the next packet, which is ready and fits, and tells where it ends. The last leaves nothing remaining. Of torn
   * data it writes nothing.
   */
  write(into: Uint8Array, at: number): number {
    let left = this.remaining < MAX_PAYLOAD ? this.remaining : MAX_PAYLOAD;
    if (!this.#has(left - (this.begun ? 0 : this.#operands.length))) {
      this.isTorn = true;
      return at;
    }
    at = writeHeader(into, at, this.xid, this.remaining, this.#opcode, this.#access);
    this.remaining -= left;
    if (!this.begun) {
      this.begun = true;
      const operands = this.#operands;
      for (let index = 0; index < operands.length; index += 1) into[at + index] = operands[index] as number;
      at += operands.length;
      left -= operands.length;
    }
    this.given -= left;
    while (left > 0) {
      const chunk = this.#chunks[this.#first] as Uint8Array;
      const end = this.#at + left;
      if (end < chunk.length) {
        into.set(chunk.subarray(this.#at, end), at);
        this.#at = end;
        return at + left;
      }
      const rest = this.#at === 0 ? chunk : chunk.subarray(this.#at);
      into.set(rest, at);
      at += rest.length;
      left -= rest.length;
      this.#leave();
    }
    return at;
  }

  /** The first chunk has left. */
  #leave(): void {
    this.#at = 0;
    this.#first += 1;
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#first = 0;
    } else if (this.#first === LEFT_AT_MOST) {
      this.#chunks.splice(0, LEFT_AT_MOST);
      this.#first = 0;
    }
  }

  /** Whether the next bytes of data are there; no chunk was empty when it was given. */
  #has(count: number): boolean {
    let here = -this.#at;
    for (let index = this.#first; here < count; index += 1) {
      const chunk = this.#chunks[index];
      if (chunk === undefined || chunk.length === 0 || isGone(chunk)) return false;
      here += chunk.length;
    }
    return true;
  }
}

/**
 * Whether the memory of data was transferred or made smaller. What the data themselves say of their length is not enough:
 * compiled code may still see the old one.
 */
export function isGone(data: Uint8Array): boolean {
  return data.buffer.byteLength < data.byteOffset + data.length;
}
