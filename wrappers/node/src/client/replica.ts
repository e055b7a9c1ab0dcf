import type { Change } from "./change.js";

/**
 * A copy of a record, kept up to date by what a watch with data tells (docs/PROTOCOL.md §4.3). Memory that somebody else
 * may have is never written to: ranges go into memory of its own, with room to grow.
 */
export class Replica {
  /** The version of the data: 0n where there are none yet. */
  version = 0n;
  #memory: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Whether the memory is this copy's alone. */
  #own = false;

  /** The data. A view of the copy: it changes with what is applied, unless it is shared. */
  get data(): Buffer {
    return this.#length === this.#memory.length ? this.#memory : this.#memory.subarray(0, this.#length);
  }

  /** The data as a snapshot that stays as it is: the next range is written to other memory. */
  share(): Buffer {
    this.#own = false;
    return this.data;
  }

  /**
   * Applies a change, the next in turn. Whether it was about the data. With `own` the data of a whole state are nobody
   * else's, and may be written to.
   */
  apply(change: Change, own = false): boolean {
    if (change.change === "changed" && change.data !== undefined) {
      this.version = change.version;
      this.#memory = change.data;
      this.#length = change.data.length;
      this.#own = own;
      return true;
    }
    if (change.change === "range") {
      this.version = change.version;
      this.#write(change.offset, change.data);
      return true;
    }
    return false;
  }

  /** Writes a range; what lies between the old end and its beginning becomes zeros. */
  #write(offset: number, data: Buffer): void {
    const end = offset + data.length;
    const length = Math.max(end, this.#length);
    if (!this.#own || length > this.#memory.length) {
      const grows = length > this.#length;
      const memory = Buffer.allocUnsafeSlow(grows ? length + (length >>> 3) : length);
      memory.set(this.data);
      this.#memory = memory;
      this.#own = true;
    }
    if (offset > this.#length) this.#memory.fill(0, this.#length, offset);
    this.#memory.set(data, offset);
    this.#length = length;
  }
}
