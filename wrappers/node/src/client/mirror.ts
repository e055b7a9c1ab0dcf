import type { Pointer, Version } from "../wire/values.js";
import type { Ending } from "../wire/notification.js";
import { isAboutData, type Change } from "./change.js";
import { closed, endedRecord } from "./errors.js";
import { Replica } from "./replica.js";
import type { Watch } from "./watch.js";

/**
 * A copy of a record that is kept up to date: the newest data and their version, whatever was written, folded or missed
 * (docs/PROTOCOL.md §4.3, §9.1). It moves on when it is asked, with {@link changed} or {@link next}; between, the data stay
 * as they are. Like a watch it goes on after a lost connection.
 */
export class Mirror implements AsyncIterableIterator<Change, undefined, undefined>, AsyncDisposable {
  readonly #watch: Watch;
  readonly #replica = new Replica();
  #live: boolean;
  #ended: Ending | undefined = undefined;

  private constructor(watch: Watch) {
    this.#watch = watch;
    this.#live = watch.version === 0n;
  }

  /** @internal Follows a record from its first state on. */
  static async of(watch: Watch): Promise<Mirror> {
    const mirror = new Mirror(watch);
    while (!mirror.#live) await mirror.changed();
    return mirror;
  }

  /** The record. */
  get pointer(): Pointer {
    return this.#watch.pointer;
  }

  /**
   * The data. They are the copy itself, which the next range may be written to: take {@link snapshot} for what has to stay
   * as it is.
   */
  get data(): Buffer {
    return this.#replica.data;
  }

  /** The data as they are now, in memory that is not written to any more. It costs a copy only if a range follows. */
  snapshot(): Buffer {
    return this.#replica.share();
  }

  /** The version of the data: 0n where the record has none yet. */
  get version(): Version {
    return this.#replica.version;
  }

  /**
   * Whether the data follow the record, as far as is known: not between `interrupted` or `resumed` and the data that come
   * after it, and not after the end.
   */
  get isLive(): boolean {
    return this.#live;
  }

  /**
   * Waits until there are other data, moves on to the newest that are here, and tells their version. Where the copy did
   * not follow its record, it waits until it does again. Rejects with the kind `ended` when the record is no more, and like
   * {@link Watch.next}; the data stay as they were last.
   */
  async changed(): Promise<Version> {
    // Of a copy that did not follow, any data are other data.
    const before = this.#live ? this.version : undefined;
    for (;;) {
      if (this.#ended !== undefined) throw endedRecord(this.#ended);
      const first = await this.next();
      if (first.done === true) throw closed();
      let aboutData = isAboutData(first.value);
      for (let more = this.#watch.tryNext(); more !== undefined; more = this.#watch.tryNext()) {
        aboutData ||= isAboutData(more);
        this.#apply(more);
      }
      if (aboutData && this.version !== before) return this.version;
    }
  }

  /** The next change of whatever sort, which the data have in them already; done after the last. */
  async next(): Promise<IteratorResult<Change, undefined>> {
    try {
      const result = await this.#watch.next();
      if (result.done === true) this.#live = false;
      else this.#apply(result.value);
      return result;
    } catch (error) {
      this.#live = false;
      throw error;
    }
  }

  #apply(change: Change): void {
    switch (change.change) {
      case "changed":
      case "range":
        this.#live = true;
        // The data of a change that `next` has told are the application's too, so they are not written to.
        this.#replica.apply(change);
        break;
      case "interrupted":
        this.#live = false;
        break;
      case "resumed":
        this.#live = change.version === 0n;
        break;
      case "deleted":
      case "expired":
      case "access-lost":
        this.#live = false;
        this.#ended = change.change;
        break;
      default:
    }
  }

  /** Follows the record no more. The data stay. */
  close(): void {
    this.#live = false;
    this.#watch.close();
  }

  /** Follows the record no more: what leaving a `for await` does. */
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
