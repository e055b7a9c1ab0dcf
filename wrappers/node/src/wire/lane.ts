import { HEADER_LENGTH, MAX_PAYLOAD, writeHeader } from "./packet.js";
import type { Request } from "./request.js";

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

  readonly #opcode: number;
  readonly #access: number;
  readonly #operands: Uint8Array;
  readonly #chunks: Uint8Array[] = [];
  /** Where in the first chunk the next data are. */
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

  /** Writes the next packet, which is ready and fits, and tells where it ends. The last leaves nothing remaining. */
  write(into: Uint8Array, at: number): number {
    at = writeHeader(into, at, this.xid, this.remaining, this.#opcode, this.#access);
    let left = this.remaining < MAX_PAYLOAD ? this.remaining : MAX_PAYLOAD;
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
      const chunk = this.#chunks[0] as Uint8Array;
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
      this.#chunks.shift();
      this.#at = 0;
    }
    return at;
  }
}
