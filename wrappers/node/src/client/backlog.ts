import { dataLength, isAboutData, type Change } from "./change.js";
import { Replica } from "./replica.js";

/** Changes that wait at most, before they are folded. */
const CHANGES_AT_MOST = 256;

/** Bytes of data in them at most, beside the newest whole state of the record. */
const BYTES_AT_MOST = 1024 * 1024;

/**
 * The changes of one watch that the application has not taken: bounded, so that a slow application neither costs memory
 * nor holds up the connection that its watches share.
 */
export class Backlog {
  #changes: Change[] = [];
  #bytes = 0;
  /** How many of them are about data. */
  #ofData = 0;

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  /** Takes the oldest change. */
  pop(): Change | undefined {
    const change = this.#changes.shift();
    if (change !== undefined) this.#count(change, -1);
    return change;
  }

  /**
   * Adds a change. When there are too many, they are folded as a server folds them: the newest state of the data, and the
   * newest of everything else. Ranges can be folded into a state that waits before them. `false` where that was taken
   * already: then the record has to be told whole again.
   */
  push(change: Change): boolean {
    this.#changes.push(change);
    this.#count(change, 1);
    const over = this.#changes.length > CHANGES_AT_MOST || (this.#bytes > BYTES_AT_MOST && this.#ofData > 1);
    return over ? this.#fold() : true;
  }

  #count(change: Change, sign: 1 | -1): void {
    this.#bytes += sign * dataLength(change);
    if (isAboutData(change)) this.#ofData += sign;
  }

  #fold(): boolean {
    let watching: Change | undefined;
    let version: Change | undefined;
    let whole: Replica | undefined;
    let torn = false;
    const others = new Map<string, Change>();
    for (const change of this.#changes) {
      switch (change.change) {
        case "changed":
          whole = undefined;
          version = change;
          if (change.data !== undefined) {
            whole = new Replica();
            whole.apply(change, true);
            torn = false;
          }
          break;
        case "range":
          if (whole === undefined) torn = true;
          else whole.apply(change);
          break;
        case "interrupted":
        case "resumed":
          watching = change;
          break;
        default:
          // The newest of each sort, in the order in which they came.
          others.delete(change.change);
          others.set(change.change, change);
      }
    }
    this.#changes = [];
    this.#bytes = 0;
    this.#ofData = 0;
    const data: Change | undefined =
      whole === undefined ? version : { change: "changed", version: whole.version, data: whole.data };
    for (const change of [watching, data, ...others.values()]) {
      if (change === undefined) continue;
      this.#changes.push(change);
      this.#count(change, 1);
    }
    return !torn;
  }
}
