import type { Pointer, Version } from "../wire/values.js";
import type { Change } from "./change.js";
import type { WatchState } from "./watches.js";

/**
 * A record that is watched (docs/PROTOCOL.md §3.21): its changes, one after the other, as an async iterable. What is not
 * taken waits, up to 256 changes or 1 MiB of data beside the newest state; what is more folds into the newest state.
 * It outlives its connection. It ends with `return()`, `close()`, its signal, or the record.
 */
export class Watch implements AsyncIterableIterator<Change, undefined, undefined>, AsyncDisposable {
  /** The record. */
  readonly pointer: Pointer;
  /** The version that the record had when it began to be watched: 0n where it had no data yet. */
  readonly version: Version;
  readonly #state: WatchState;

  /** @internal */
  constructor(state: WatchState) {
    this.#state = state;
    this.pointer = state.pointer;
    this.version = state.version ?? 0n;
  }

  /**
   * The next change, once there is one; done after the last. Rejects once with the NetSwapError that says why the watch
   * has ended without the record's end: the client is closed, the connection is lost and not made again, or the record
   * cannot be watched again on a new connection; and with an AbortError where its signal ended it.
   */
  next(): Promise<IteratorResult<Change, undefined>> {
    return this.#state.next();
  }

  /** The next change if there is one already; else `undefined`. */
  tryNext(): Change | undefined {
    return this.#state.tryNext();
  }

  /** Watches no more. What was not taken is thrown away. */
  close(): void {
    this.#state.stop();
  }

  /** Watches no more: what leaving a `for await` does. */
  return(): Promise<IteratorResult<Change, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A watch that is about to begin: a promise of it, and an async iterable of what it will tell. */
export interface PendingWatch extends Promise<Watch>, AsyncIterable<Change, undefined, undefined> {}

/** Makes a promise of a watch the iterable of its changes. */
export function pending(promise: Promise<Watch>): PendingWatch {
  return Object.assign(promise, {
    [Symbol.asyncIterator](): AsyncIterator<Change, undefined, undefined> {
      return {
        next: async () => (await promise).next(),
        return: async () => {
          // One that has not begun has nothing to be closed.
          const watch = await promise.catch(() => undefined);
          watch?.close();
          return { done: true, value: undefined };
        },
      };
    },
  });
}
