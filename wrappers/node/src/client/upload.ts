import { isUint8Array } from "node:util/types";
import { isGone } from "../wire/lane.js";
import { shown } from "../wire/values.js";
import type { Reply } from "../wire/reply.js";
import type { Request } from "../wire/request.js";
import { Call } from "./call.js";
import { AbortError, streamFailed, streamTooShort, torn } from "./errors.js";
import type { Session } from "./session.js";

/**
 * Where the data of an upload come from: a Node `Readable`, a web `ReadableStream`, or whatever else gives Uint8Arrays one
 * after the other.
 */
export type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Hears how far an upload or a download is, in bytes of data: as often as there is something new, and at last with both alike. */
export type Progress = (done: number, total: number) => void;

/** An upload: a call that is given its data as they come. */
class Upload extends Call {
  /** Has the loop that feeds it look again. */
  look: () => void = () => {};

  override wanted(): void {
    this.look();
  }

  override settle(): void {
    super.settle();
    this.look();
  }
}

/**
 * Makes a request of which the data are the next `length` bytes of a source. The source is closed in the end, however much
 * of it was used; where it failed or was given up before its end, it is destroyed.
 */
export async function upload(
  session: Session, request: Request, idleTimeout: number, signal: AbortSignal | undefined, source: Source,
  progress: Progress | undefined,
): Promise<Reply> {
  const total = request.length;
  const data = new Chunks(source);
  let call: Upload | undefined;
  let answer: Reply | undefined;
  let failure: { error: unknown } | undefined;
  let [read, given] = [0, 0];
  let wake: () => void = () => {};
  const look = (): void => wake();
  const fail = (error: unknown): void => {
    failure ??= { error };
    look();
  };
  // The server is asked when there is something to give it: unfinished requests have a time limit there.
  const begin = (): Upload => {
    const made = new Upload(session, request, { idleTimeout }, (reply) => {
      answer = reply;
      look();
    }, fail);
    made.look = look;
    session.start(made, signal);
    return made;
  };
  const onAbort = (): void => fail(new AbortError(signal?.reason, "not-done"));
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const left: Uint8Array[] = [];
    while (failure === undefined && answer === undefined) {
      call ??= read > 0 || total === 0 ? begin() : undefined;
      const { link, transaction } = call ?? {};
      let isHungry = call === undefined;
      if (link !== undefined && transaction !== undefined) {
        if (left.length > 0) {
          for (const chunk of left.splice(0)) {
            if (chunk.length === 0 || isGone(chunk)) fail(torn());
            else link.machine.provide(transaction, chunk);
          }
          link.wake();
        }
        isHungry = read < total && link.machine.wanted(transaction) > 0;
        const sent = link.machine.sent(transaction);
        if (sent > given && sent < total) progress?.((given = sent), total);
      }
      if (isHungry && !data.isReading) {
        data.read((chunk) => {
          if (chunk === undefined) {
            fail(streamTooShort(read, total));
            return;
          }
          read = Math.min(read + chunk.length, total);
          if (chunk.length > 0) left.push(chunk);
          look();
        }, fail);
      }
      if (failure === undefined && answer === undefined) await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    if (call !== undefined && !call.settled) call.abandon();
    data.close();
  }
  if (answer === undefined) throw failure?.error;
  progress?.(total, total);
  return answer;
}

/** Chunks after which the event loop has its turn, however fast a source gives them. */
const CHUNKS_AT_MOST = 256;

/** The chunks of a source, one at a time. */
class Chunks {
  isReading = false;
  #count = 0;
  readonly #source: Source;
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>;

  constructor(source: Source) {
    this.#source = source;
    this.#iterator = iterate(source);
  }

  /** Reads the next chunk; `undefined` is the end. Errors are those of the kind `io`, or TypeErrors. */
  read(take: (chunk: Uint8Array | undefined) => void, fail: (error: unknown) => void): void {
    this.isReading = true;
    const next = async (): Promise<void> => {
      let done: boolean | undefined;
      let value: unknown;
      try {
        this.#count += 1;
        if (this.#count % CHUNKS_AT_MOST === 0) await new Promise((resolve) => setImmediate(resolve));
        ({ done, value } = await this.#iterator.next());
      } catch (error) {
        this.isReading = false;
        fail(streamFailed("cannot read the data to be sent", error));
        return;
      }
      this.isReading = false;
      if (done === true) take(undefined);
      else if (isUint8Array(value)) take(value);
      else fail(new TypeError(`source must give chunks that are Uint8Arrays, not ${shown(value)}`));
    };
    void next();
  }

  /** Closes the source. Nobody waits for it, and its errors concern nobody any more. */
  close(): void {
    const close = async (): Promise<void> => {
      const { destroy, on } = this.#source as { destroy?: () => void; on?: (event: string, no: () => void) => void };
      if (typeof destroy === "function") {
        if (typeof on === "function") on.call(this.#source, "error", () => {});
        destroy.call(this.#source);
      }
      await this.#iterator.return?.();
    };
    close().catch(() => {});
  }
}

function iterate(source: unknown): AsyncIterator<unknown> | Iterator<unknown> {
  const from = source as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined;
  if (typeof source === "object" && from !== null && !isUint8Array(source)) {
    const [later, now] = [from?.[Symbol.asyncIterator], from?.[Symbol.iterator]];
    if (typeof later === "function") return later.call(source);
    if (typeof now === "function") return now.call(source);
  }
  throw new TypeError(`source must be a Readable, a ReadableStream or another iterable of Uint8Arrays, not ${shown(source)}`);
}
