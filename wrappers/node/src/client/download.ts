import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { resolvePointer } from "../wire/request.js";
import type { Reply } from "../wire/reply.js";
import { shown, type Pointer } from "../wire/values.js";
import { Call } from "./call.js";
import { NetSwapError, streamFailed, AbortError } from "./errors.js";
import type { Session } from "./session.js";
import type { Progress } from "./upload.js";

/** A call whose data come in pieces. */
class Pieces extends Call {
  onPiece: (data: Buffer, total: number) => void = () => {};

  override piece(data: Buffer, total: number): void {
    if (!this.settled) this.onPiece(data, total);
  }
}

/**
 * A record's data as a stream (docs/PROTOCOL.md §3.6). The server is asked when the stream is first read. While nobody
 * reads it, up to 4 MiB wait; then nothing is read from the connection at all, until somebody does.
 */
export class RecordStream extends Readable {
  /** Bytes of the record; `undefined` until the first data are here. */
  total: number | undefined = undefined;
  /** @internal What the progress function threw. */
  thrown: unknown = undefined;
  readonly #start: (stream: RecordStream) => Pieces;
  readonly #progress: Progress | undefined;
  #call: Pieces | undefined = undefined;
  /** What has arrived and was not pushed. */
  #pieces: Buffer[] = [];
  #done = 0;
  #complete = false;
  #wants = false;

  /** @internal */
  constructor(
    session: Session, pointer: Pointer, idleTimeout: number, signal: AbortSignal | undefined, progress?: Progress,
  ) {
    super({ highWaterMark: 256 * 1024 });
    this.#progress = progress;
    this.#start = () => {
      const options = { idleTimeout, pieces: true };
      const call = new Pieces(session, resolvePointer(pointer), options, this.#onAnswer, (error) =>
        this.destroy(error as Error));
      call.onPiece = (data, total) => {
        this.total = total;
        this.#pieces.push(data);
        process.nextTick(this.#pump);
      };
      session.start(call, signal);
      return call;
    };
  }

  readonly #onAnswer = (reply: Reply): void => {
    if (reply.kind !== "data") return;
    const before = this.#pieces.reduce((sum, piece) => sum + piece.length, this.#done);
    this.total = before + reply.data.length;
    this.#pieces.push(reply.data);
    this.#complete = true;
    process.nextTick(this.#pump);
  };

  override _read(): void {
    this.#wants = true;
    this.#call ??= this.#start(this);
    this.#pump();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#call !== undefined && !this.#call.settled) this.#call.abandon();
    this.#pieces = [];
    callback(error);
  }

  /** Pushes what is here. It runs listeners of the application's, and so not while the connection tells its events. */
  readonly #pump = (): void => {
    while (this.#wants && this.#pieces.length > 0) {
      const piece = this.#pieces.shift() as Buffer;
      this.#done += piece.length;
      const { link, transaction } = this.#call ?? {};
      if (link !== undefined && transaction !== undefined && !this.#complete) link.consumed(transaction, piece.length);
      try {
        this.#progress?.(this.#done, this.total ?? this.#done);
      } catch (error) {
        this.thrown = error;
        this.destroy(error as Error);
        return;
      }
      if (piece.length > 0) this.#wants = this.push(piece);
    }
    if (this.#complete && this.#pieces.length === 0 && this.#wants) {
      this.#wants = false;
      this.push(null);
    }
  };
}

/** Writes a record's data to a sink, and tells how many bytes there were. */
export async function download(
  stream: RecordStream, sink: NodeJS.WritableStream | WritableStream<Uint8Array>, end: boolean,
): Promise<number> {
  try {
    await pipeline(stream, sink as NodeJS.WritableStream, { end });
  } catch (error) {
    if (error instanceof NetSwapError || error instanceof AbortError || error === stream.thrown) throw error;
    throw streamFailed("cannot write the data received", error);
  }
  return stream.total ?? 0;
}

/** Checks that data can be written to it. */
export function checkSink(sink: unknown): void {
  const to = sink as { write?: unknown; getWriter?: unknown } | null | undefined;
  if (typeof to?.write === "function" || typeof to?.getWriter === "function") return;
  throw new TypeError(`sink must be a Writable or a WritableStream, not ${shown(sink)}`);
}
