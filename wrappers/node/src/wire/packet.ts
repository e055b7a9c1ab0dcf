/** Bytes of a packet's header (docs/PROTOCOL.md §2.1). */
export const HEADER_LENGTH = 10;

/** The most bytes of payload in one packet; every packet of a message but its last has exactly as many. */
export const MAX_PAYLOAD = 1390;

/** The longest message, in bytes of payload: REMAINING is a u32. */
export const MAX_MESSAGE = 0xffff_ffff;

/** Writes a packet's header at `at`, and tells where it ends. */
export function writeHeader(
  into: Uint8Array, at: number, xid: number, remaining: number, opcode: number, access: number,
): number {
  into[at] = xid >>> 24;
  into[at + 1] = xid >>> 16;
  into[at + 2] = xid >>> 8;
  into[at + 3] = xid;
  into[at + 4] = remaining >>> 24;
  into[at + 5] = remaining >>> 16;
  into[at + 6] = remaining >>> 8;
  into[at + 7] = remaining;
  into[at + 8] = opcode;
  into[at + 9] = access;
  return at + HEADER_LENGTH;
}

/**
 * Cuts a stream of bytes into packets, however it arrives.
 *
 * The first fragment of a packet comes as soon as its ten header bytes are there, so that a header can be judged before
 * any payload; a packet that has arrived whole is a single fragment. The fields are those of the fragment that `next`
 * found last: one object serves all packets.
 */
export class PacketReader {
  /** The transaction of the packet. */
  xid = 0;
  /** Bytes of the message's payload from this packet on, its own included. */
  remaining = 0;
  /** The operation or reply code. */
  code = 0;
  /** Access bits, or a flag, kind or detail. */
  access = 0;
  /** Whether this is the packet's first fragment. */
  opens = false;
  /** Whether the packet is complete with this fragment. */
  closes = false;
  /** Where in the input the fragment's payload begins ... */
  start = 0;
  /** ... and ends. The next fragment begins here. */
  end = 0;

  readonly #partial = new Uint8Array(HEADER_LENGTH);
  #partialLength = 0;
  /** Bytes of the packet's payload that have not arrived; -1 between packets. */
  #left = -1;

  /** Finds the fragment that begins at `at`; `false` when there is none, and the input is used up. */
  next(input: Uint8Array, at: number): boolean {
    this.opens = this.#left < 0;
    if (this.opens) {
      if (this.#partialLength === 0 && input.length - at >= HEADER_LENGTH) {
        this.#read(input, at);
        at += HEADER_LENGTH;
      } else {
        while (this.#partialLength < HEADER_LENGTH && at < input.length) {
          this.#partial[this.#partialLength++] = input[at++] as number;
        }
        if (this.#partialLength < HEADER_LENGTH) return false;
        this.#partialLength = 0;
        this.#read(this.#partial, 0);
      }
      this.#left = this.remaining < MAX_PAYLOAD ? this.remaining : MAX_PAYLOAD;
    } else if (at >= input.length) {
      return false;
    }
    const here = input.length - at < this.#left ? input.length - at : this.#left;
    this.start = at;
    this.end = at + here;
    this.#left -= here;
    this.closes = this.#left === 0;
    if (this.closes) this.#left = -1;
    return true;
  }

  /** Whether this packet is its message's last. */
  get isLast(): boolean {
    return this.remaining <= MAX_PAYLOAD;
  }

  #read(from: Uint8Array, at: number): void {
    this.xid = readU32(from, at);
    this.remaining = readU32(from, at + 4);
    this.code = from[at + 8] as number;
    this.access = from[at + 9] as number;
  }
}

/** Reads a big-endian u32. The bytes must be there. */
export function readU32(from: Uint8Array, at: number): number {
  const [a, b, c, d] = [from[at] as number, from[at + 1] as number, from[at + 2] as number, from[at + 3] as number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Reads a big-endian u16. The bytes must be there. */
export function readU16(from: Uint8Array, at: number): number {
  return ((from[at] as number) << 8) | (from[at + 1] as number);
}

/** Reads a big-endian u64. The bytes must be there. */
export function readU64(from: Uint8Array, at: number): bigint {
  return (BigInt(readU32(from, at)) << 32n) | BigInt(readU32(from, at + 4));
}
