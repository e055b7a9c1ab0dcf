import type { Notification } from "../wire/notification.js";
import type { Version } from "../wire/values.js";

/**
 * What a watch tells. Beside what the server tells there are
 *
 * - `interrupted`: the connection was lost, or the server is shutting down. What happens now is not told.
 * - `resumed`: the record is watched again, and has this version. Where data are told, the whole record comes next.
 *
 * `deleted`, `expired` and `access-lost` are the last.
 */
export type Change =
  | Notification
  | { readonly change: "interrupted" }
  | { readonly change: "resumed"; readonly version: Version };

/** Whether a change is about the record's data. */
export function isAboutData(change: Change): boolean {
  return change.change === "changed" || change.change === "range";
}

/** Bytes of data in a change. */
export function dataLength(change: Change): number {
  return ("data" in change ? change.data?.length : undefined) ?? 0;
}
