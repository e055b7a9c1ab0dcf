import type { RequestOptions } from "../connection/transaction.js";
import type { Identity, Reply, Stat } from "../wire/reply.js";
import * as requests from "../wire/request.js";
import type { Request } from "../wire/request.js";
import { shown, type Access, type Owner, type Pointer, type Version } from "../wire/values.js";
import * as check from "./check.js";
import { Streams } from "./streams.js";

/** The settings of one call. */
export interface CallOptions {
  /** Gives the call up: it rejects with an AbortError, and the server is told with an ABORT (docs/PROTOCOL.md §2.5). */
  readonly signal?: AbortSignal | undefined;
  /**
   * In the place of the client's `requestTimeout`: how many milliseconds the call may go without any byte of it moving, or
   * wait for a connection. `Infinity` is for ever.
   */
  readonly timeout?: number | undefined;
}

/** A part of a record, as {@link Calls.readRange} reads it. */
export interface Range {
  readonly version: Version;
  /** Bytes of the whole record. */
  readonly length: number;
  /** The bytes that were asked for, as far as the record has them. */
  readonly data: Buffer;
}

/** A whole record with its version. */
export interface Snapshot {
  readonly version: Version;
  readonly data: Buffer;
}

/** How long a record lives (docs/PROTOCOL.md §6.4). Times are in seconds. */
export interface Lifetime {
  /** How long it outlives its owner's last connection; the server's default where it is left out. */
  readonly grace?: number | undefined;
  /** After this time it ends, whoever is connected; never where it is left out. From 1. */
  readonly ttl?: number | undefined;
  /** Who owns it after the grace; nobody, and it ends, where it is left out. */
  readonly heir?: Owner | undefined;
}

/** The longest wait between two attempts of an update, in milliseconds, doubles from 1 to this. */
const LONGEST_WAIT = 16;

/**
 * The calls of a client that have one request and one answer. Data are not copied: their memory has to stay as it is until
 * the call has ended.
 */
export abstract class Calls extends Streams {
  /** Makes a record of data, and gets its pointer (CREATE_RECORD, docs/PROTOCOL.md §3.4). The caller is its owner. */
  create(data: Uint8Array, access: Access = "none", options?: CallOptions): Promise<Pointer> {
    return this.call(() => requests.createRecord(check.access("access", access), check.bytes("data", data)), pointerOf, options);
  }

  /**
   * Makes a record that has no data yet, and gets its pointer, which can be sent on at once (RESERVE_RECORD,
   * docs/PROTOCOL.md §3.22). The first write makes it like any other.
   */
  reserve(access: Access = "none", options?: CallOptions): Promise<Pointer> {
    return this.call(() => requests.reserveRecord(check.access("access", access)), pointerOf, options);
  }

  /**
   * Reads a record whole (RESOLVE_POINTER, docs/PROTOCOL.md §3.6). Of a reserved record it waits for the data, as long as
   * any call may take; {@link resolveWait} is for longer.
   */
  resolve(pointer: Pointer, options?: CallOptions): Promise<Buffer> {
    return this.call(() => requests.resolvePointer(check.u64("pointer", pointer)), dataOf, options);
  }

  /**
   * Reads a record whole, and waits for its data where it is reserved: up to `timeout` milliseconds, or for as long as the
   * connection lasts (docs/PROTOCOL.md §3.22). Once the data come, the time limit is that of every call.
   */
  resolveWait(pointer: Pointer, options?: CallOptions): Promise<Buffer> {
    return this.call(() => requests.resolvePointer(check.u64("pointer", pointer)), dataOf, options, true);
  }

  /**
   * Reads a record whole with its version, unless the version is the one that the caller has already: then the answer is
   * `undefined` (RESOLVE_IF_CHANGED, docs/PROTOCOL.md §3.20). With 0n, the default, it always reads.
   */
  resolveIfChanged(pointer: Pointer, version: Version = 0n, options?: CallOptions): Promise<Snapshot | undefined> {
    return this.call(
      () => requests.resolveIfChanged(check.u64("pointer", pointer), check.u64("version", version)), snapshotOf, options,
    );
  }

  /**
   * Reads at most `length` bytes of a record from `offset` on (READ_RANGE, docs/PROTOCOL.md §3.15). Where the record ends
   * earlier there are fewer, or none.
   */
  readRange(pointer: Pointer, offset: number, length: number, options?: CallOptions): Promise<Range> {
    return this.call(
      () => requests.readRange(check.u64("pointer", pointer), check.u32("offset", offset), check.u32("length", length)),
      rangeOf, options,
    );
  }

  /** Puts new data in the place of a record's old data, and gets the new version (REPLACE_RECORD, docs/PROTOCOL.md §3.7). */
  replace(pointer: Pointer, data: Uint8Array, options?: CallOptions): Promise<Version> {
    return this.call(
      () => requests.replaceRecord(check.u64("pointer", pointer), check.bytes("data", data)), versionOf, options,
    );
  }

  /**
   * Writes data over a part of a record, and gets the new version (WRITE_RANGE, docs/PROTOCOL.md §3.16). The record grows
   * as far as needed; a gap between its end and `offset` is filled with zeros.
   */
  writeRange(pointer: Pointer, offset: number, data: Uint8Array, options?: CallOptions): Promise<Version> {
    return this.call(
      () => requests.writeRange(check.u64("pointer", pointer), check.u32("offset", offset), check.bytes("data", data)),
      versionOf, options,
    );
  }

  /** Adds data at the end of a record, and learns where they begin (APPEND, docs/PROTOCOL.md §3.17). */
  append(pointer: Pointer, data: Uint8Array, options?: CallOptions): Promise<{ version: Version; offset: number }> {
    return this.call(() => requests.append(check.u64("pointer", pointer), check.bytes("data", data)), appendedOf, options);
  }

  /**
   * Puts new data in the place of a record's old data if it still has this version, and gets the new one; else it rejects
   * with the code `VERSION_MISMATCH` (COMPARE_AND_REPLACE, docs/PROTOCOL.md §3.18). Version 0n fits a reserved record.
   */
  compareAndReplace(pointer: Pointer, version: Version, data: Uint8Array, options?: CallOptions): Promise<Version> {
    return this.call(() => {
      const body = check.bytes("data", data);
      return requests.compareAndReplace(check.u64("pointer", pointer), check.u64("version", version), body);
    }, versionOf, options);
  }

  /**
   * Changes a record by what it holds: reads it, has `change` make new data of the old, and puts these in their place if
   * nobody has written meanwhile; otherwise it begins again (docs/PROTOCOL.md §9.3). Gets the new version. What `change`
   * throws is what the call rejects with.
   */
  async update(
    pointer: Pointer, change: (data: Buffer) => Uint8Array | Promise<Uint8Array>, options?: CallOptions,
  ): Promise<Version> {
    check.callback("change", change);
    for (let most = 1; ; most = Math.min(most * 2, LONGEST_WAIT)) {
      const { version, data } = (await this.resolveIfChanged(pointer, 0n, options)) as Snapshot;
      const changed = check.bytes("the result of change", await change(data));
      try {
        return await this.compareAndReplace(pointer, version, changed, options);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "VERSION_MISMATCH") throw error;
      }
      // Others go first for a random time, which may be none.
      const wait = Math.floor(Math.random() * (most + 1));
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /**
   * Adds to the big-endian i64 at `offset` in a record, and gets the sum (FETCH_ADD, docs/PROTOCOL.md §3.19). It wraps at
   * the ends of the range.
   */
  fetchAdd(
    pointer: Pointer, offset: number, delta: bigint, options?: CallOptions,
  ): Promise<{ version: Version; value: bigint }> {
    return this.call(
      () => requests.fetchAdd(check.u64("pointer", pointer), check.u32("offset", offset), check.i64("delta", delta)),
      addedOf, options,
    );
  }

  /** The state of a record without its data (STAT_RECORD, docs/PROTOCOL.md §3.13). */
  stat(pointer: Pointer, options?: CallOptions): Promise<Stat> {
    return this.call(() => requests.statRecord(check.u64("pointer", pointer)), statOf, options);
  }

  /** Says what others may do with a record of one's own (UPDATE_RECORD_PERMISSIONS, docs/PROTOCOL.md §3.5). */
  setPermissions(pointer: Pointer, access: Access, options?: CallOptions): Promise<void> {
    return this.call(
      () => requests.updateRecordPermissions(check.u64("pointer", pointer), check.access("access", access)), nothing, options,
    );
  }

  /** Says how long a record of one's own lives; all three are set anew (SET_LIFETIME, docs/PROTOCOL.md §3.23). */
  setLifetime(pointer: Pointer, lifetime: Lifetime, options?: CallOptions): Promise<void> {
    return this.call(() => {
      if (typeof lifetime !== "object" || lifetime === null) {
        throw new TypeError(`lifetime must be an object, not ${shown(lifetime)}`);
      }
      const { grace, ttl, heir } = lifetime;
      const most = 0xffff_fffe;
      return requests.setLifetime(
        check.u64("pointer", pointer),
        grace === undefined ? 0xffff_ffff : check.whole("lifetime.grace", grace, most),
        ttl === undefined ? 0 : check.whole("lifetime.ttl", ttl, 0xffff_ffff, 1),
        heir === undefined ? 0n : check.u64("lifetime.heir", heir),
      );
    }, nothing, options);
  }

  /** Removes a record of one's own (DELETE_RECORD, docs/PROTOCOL.md §3.8). */
  delete(pointer: Pointer, options?: CallOptions): Promise<void> {
    return this.call(() => requests.deleteRecord(check.u64("pointer", pointer)), nothing, options);
  }

  /** Becomes the owner of a record that others may take over (TAKEOVER_RECORD, docs/PROTOCOL.md §3.9). */
  takeover(pointer: Pointer, options?: CallOptions): Promise<void> {
    return this.call(() => requests.takeoverRecord(check.u64("pointer", pointer)), nothing, options);
  }

  /** Gives a record of one's own to somebody (TRANSFER_RECORD, docs/PROTOCOL.md §3.10). */
  transfer(pointer: Pointer, owner: Owner, options?: CallOptions): Promise<void> {
    return this.call(
      () => requests.transferRecord(check.u64("pointer", pointer), check.u64("owner", owner)), nothing, options,
    );
  }

  /** Asks the owner for a record: its watches are told `requested` (REQUEST_OWNERSHIP, docs/PROTOCOL.md §3.24). */
  requestOwnership(pointer: Pointer, options?: CallOptions): Promise<void> {
    return this.call(() => requests.requestOwnership(check.u64("pointer", pointer)), nothing, options);
  }

  /** The pointers of one's own records, ascending (LIST_RECORDS, docs/PROTOCOL.md §3.14). */
  list(options?: CallOptions): Promise<Pointer[]> {
    return this.call(requests.listRecords, pointersOf, options);
  }

  /** Who the caller is, and what the server allows (IDENTIFY, docs/PROTOCOL.md §3.11). */
  identify(options?: CallOptions): Promise<Identity> {
    return this.call(requests.identify, identityOf, options);
  }

  /** Sends data to the server and back (PING, docs/PROTOCOL.md §3.12). None by default. They are copied. */
  ping(data: Uint8Array = NONE, options?: CallOptions): Promise<void> {
    // What comes back is compared with what was sent, whatever the caller does with its memory meanwhile.
    return this.call(() => requests.ping(new Uint8Array(check.bytes("data", data))), nothing, options);
  }

  /** @internal Makes a request of arguments that are checked as it is made, and reads its answer. */
  protected call<T>(
    make: () => Request, read: (reply: never) => T, options: CallOptions | undefined, waits = false,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const request = make();
      const timeout = this.idleTimeout(options);
      // Of a read that waits, the time is for the wait alone.
      const how: RequestOptions = waits
        ? { idleTimeout: this.idleTimeout(undefined), wait: options?.timeout ?? Infinity } : { idleTimeout: timeout };
      const signal = options?.signal === undefined ? undefined : check.signal("signal", options.signal);
      this.session.call(request, how, signal, (reply) => resolve(read(reply as never)), reject);
    });
  }
}

const NONE = new Uint8Array(0);

type Of<K extends Reply["kind"]> = Extract<Reply, { kind: K }>;

/* What an operation is answered with. The connection lets no other reply through. */
const nothing = (): void => {};
const pointerOf = (reply: Of<"pointer">): Pointer => reply.pointer;
const dataOf = (reply: Of<"data">): Buffer => reply.data;
const versionOf = (reply: Of<"written">): Version => reply.version;
const statOf = (reply: Of<"stat">): Stat => reply.stat;
const pointersOf = (reply: Of<"pointers">): Pointer[] => reply.pointers;
const identityOf = (reply: Of<"identity">): Identity => reply.identity;
const rangeOf = ({ version, length, data }: Of<"range">): Range => ({ version, length, data });
const appendedOf = ({ version, offset }: Of<"appended">): { version: Version; offset: number } => ({ version, offset });
const addedOf = ({ version, value }: Of<"added">): { version: Version; value: bigint } => ({ version, value });
const snapshotOf = (reply: Of<"changed" | "unchanged">): Snapshot | undefined =>
  reply.kind === "unchanged" ? undefined : { version: reply.version, data: reply.data };
