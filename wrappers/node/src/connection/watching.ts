import type { Notification } from "../wire/notification.js";

/** What is known of a watch: its OK, and the version that it was told last (docs/PROTOCOL.md §3.21, §4.3). */
export class Watching {
  /** Whether its OK has come. */
  begun = false;
  /** Whether the caller wants no more of it: versions are not followed any more. */
  abandoned = false;
  #version = 0n;
  /** Whether it was given the record, so that ranges can follow. */
  #given = false;

  constructor(readonly push: boolean) {}

  /** Its OK has come, with the record's version. */
  begin(version: bigint): void {
    this.begun = true;
    this.#version = version;
  }

  /** Judges a complete notification by what was told before: versions do not go backwards, and ranges miss none. */
  follows(notification: Notification): boolean {
    if (notification.change === "changed") {
      const fits = notification.version >= this.#version && notification.version > 0n;
      this.#version = notification.version;
      this.#given = this.push;
      return fits;
    }
    if (notification.change === "range") {
      const fits = this.#given && notification.version === this.#version + 1n
        && notification.offset + notification.data.length <= 0xffff_ffff;
      this.#version = notification.version;
      return fits;
    }
    return true;
  }
}
