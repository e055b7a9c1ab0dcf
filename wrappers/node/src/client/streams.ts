import type { Reply } from "../wire/reply.js";
import * as requests from "../wire/request.js";
import type { Access, Pointer, Version } from "../wire/values.js";
import type { CallOptions } from "./calls.js";
import * as check from "./check.js";
import { AbortError, closed } from "./errors.js";
import { checkSink, download, RecordStream } from "./download.js";
import { Mirror } from "./mirror.js";
import type { Session } from "./session.js";
import { upload, type Progress, type Source } from "./upload.js";
import { pending, Watch, type PendingWatch } from "./watch.js";
import { WatchState } from "./watches.js";

/** The settings of a call that streams. */
export interface StreamOptions extends CallOptions {
  /** Hears how far it is. */
  readonly progress?: Progress | undefined;
}

/** The settings of a watch. */
export interface WatchOptions extends CallOptions {
  /** Whether changes come with the record's data: the whole at first, then what changes. `false` by default. */
  readonly push?: boolean | undefined;
}

/** The calls of a client that go on for longer: data that come from a stream or go to one, and watches. */
export abstract class Streams {
  /** @internal */
  readonly session: Session;

  /** @internal */
  constructor(session: Session) {
    this.session = session;
  }

  /**
   * Makes a record of the next `length` bytes of a stream. A stream that ends early is an error of the kind `io`, and
   * nothing is made; what it has beyond is not sent.
   */
  async createFrom(
    source: Source, length: number, access: Access = "none", options?: StreamOptions,
  ): Promise<Pointer> {
    const bits = check.access("access", access);
    const reply = await this.#upload(requests.createRecord(bits, check.u32("length", length)), source, options);
    return (reply as Extract<Reply, { kind: "pointer" }>).pointer;
  }

  /** Puts the next `length` bytes of a stream in the place of a record's old data, and gets the new version. */
  async replaceFrom(pointer: Pointer, source: Source, length: number, options?: StreamOptions): Promise<Version> {
    const request = requests.replaceRecord(check.u64("pointer", pointer), check.u32("length", length));
    return version(await this.#upload(request, source, options));
  }

  /** Writes the next `length` bytes of a stream over a part of a record, and gets the new version. */
  async writeRangeFrom(
    pointer: Pointer, offset: number, source: Source, length: number, options?: StreamOptions,
  ): Promise<Version> {
    const [to, at] = [check.u64("pointer", pointer), check.u32("offset", offset)];
    return version(await this.#upload(requests.writeRange(to, at, check.u32("length", length)), source, options));
  }

  /** Adds the next `length` bytes of a stream at the end of a record, and learns where they begin. */
  async appendFrom(
    pointer: Pointer, source: Source, length: number, options?: StreamOptions,
  ): Promise<{ version: Version; offset: number }> {
    const request = requests.append(check.u64("pointer", pointer), check.u32("length", length));
    const reply = (await this.#upload(request, source, options)) as Extract<Reply, { kind: "appended" }>;
    return { version: reply.version, offset: reply.offset };
  }

  /** Puts the next `length` bytes of a stream in the place of a record's old data if it still has this version. */
  async compareAndReplaceFrom(
    pointer: Pointer, has: Version, source: Source, length: number, options?: StreamOptions,
  ): Promise<Version> {
    const [to, at] = [check.u64("pointer", pointer), check.u64("version", has)];
    return version(await this.#upload(requests.compareAndReplace(to, at, check.u32("length", length)), source, options));
  }

  /**
   * Writes a record's data to a stream, and tells how many bytes there were. The stream is ended, unless `end` is `false`.
   * There is no limit but the record's own: memory holds 4 MiB of it at most.
   */
  async resolveInto(
    pointer: Pointer, sink: NodeJS.WritableStream | WritableStream<Uint8Array>,
    options?: StreamOptions & { readonly end?: boolean | undefined },
  ): Promise<number> {
    checkSink(sink);
    const end = options?.end === undefined ? true : check.boolean("end", options.end);
    return download(this.resolveStream(pointer, options), sink, end);
  }

  /**
   * A record's data as a Node `Readable`. The server is asked when it is first read. Its errors are those of
   * {@link Calls.resolve}; destroying it gives the call up.
   */
  resolveStream(pointer: Pointer, options?: StreamOptions): RecordStream {
    const { signal, progress, idleTimeout } = this.#streaming(options);
    return new RecordStream(this.session, check.u64("pointer", pointer), idleTimeout, signal, progress);
  }

  /**
   * Watches a record (WATCH_RECORD, docs/PROTOCOL.md §3.21). What it gives is a promise of the watch, settled when the
   * server has agreed, and the iterable of its changes at once:
   *
   * ```js
   * for await (const change of client.watch(pointer, { push: true })) { ... }
   * ```
   *
   * The signal ends the watch, whenever it comes.
   */
  watch(pointer: Pointer, options?: WatchOptions): PendingWatch {
    return pending(this.#watch(pointer, options));
  }

  /** Keeps a copy of a record; the promise settles when the copy has its first state. The signal ends it. */
  async mirror(pointer: Pointer, options?: CallOptions): Promise<Mirror> {
    const { signal, timeout } = check.options(options) ?? {};
    const watch = await this.#watch(pointer, { signal, timeout, push: true });
    try {
      return await Mirror.of(watch);
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  async #watch(pointer: Pointer, options: WatchOptions | undefined): Promise<Watch> {
    const to = check.u64("pointer", pointer);
    const idleTimeout = this.idleTimeout(options);
    const push = options?.push === undefined ? false : check.boolean("push", options.push);
    const signal = options?.signal === undefined ? undefined : check.signal("signal", options.signal);
    if (signal?.aborted === true) throw new AbortError(signal.reason, "not-done");
    const link = this.session.link ?? (await this.session.connected(idleTimeout, signal));
    if (this.session.isClosing) throw closed();
    const state = new WatchState(this.session.watches, to, push, idleTimeout);
    if (signal !== undefined) state.listen(signal);
    state.ask(link);
    await state.begun;
    return new Watch(state);
  }

  #upload(request: requests.Request, source: Source, options: StreamOptions | undefined): Promise<Reply> {
    const { signal, progress, idleTimeout } = this.#streaming(options);
    return upload(this.session, request, idleTimeout, signal, source, progress);
  }

  #streaming(options: StreamOptions | undefined): {
    signal: AbortSignal | undefined; progress: Progress | undefined; idleTimeout: number;
  } {
    const idleTimeout = this.idleTimeout(options);
    const signal = options?.signal === undefined ? undefined : check.signal("signal", options.signal);
    const progress = options?.progress === undefined ? undefined : check.callback("progress", options.progress);
    return { signal, progress, idleTimeout };
  }

  /** @internal How long a call may go without a byte moving. */
  protected idleTimeout(options: CallOptions | undefined): number {
    const timeout = check.options(options)?.timeout;
    return timeout === undefined ? this.session.settings.requestTimeout : check.milliseconds("timeout", timeout);
  }
}

function version(reply: Reply): Version {
  return (reply as Extract<Reply, { kind: "written" }>).version;
}
