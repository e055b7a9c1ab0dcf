import { readU32, readU64 } from "./packet.js";
import { ANY_12, ANY_8, L0, L1, L8, type Lengths } from "./reply.js";
import { accessOf, type Access, type Owner, type Version } from "./values.js";

/** Something has happened to a watched record (docs/PROTOCOL.md §4.3). */
export type Notification =
  /** Its data are others; with them where the watch pushes. */
  | { readonly change: "changed"; readonly version: Version; readonly data: Buffer | undefined }
  /** A part was written, directly after the version before; what lies between the old end and the offset is zeros. */
  | { readonly change: "range"; readonly version: Version; readonly offset: number; readonly data: Buffer }
  /** Others may do this from now on. */
  | { readonly change: "access"; readonly access: Access }
  /** It has another owner. */
  | { readonly change: "owner"; readonly owner: Owner }
  /** Somebody asks its owner for it. */
  | { readonly change: "requested"; readonly owner: Owner }
  /** It is gone, or may not be read any more. The last. */
  | { readonly change: Ending };

/** Why a watch ends: the record was deleted, its time was over, or the watcher may not read it any more. */
export type Ending = "deleted" | "expired" | "access-lost";

const ENDINGS: Readonly<Record<number, Ending>> = { 16: "deleted", 17: "expired", 18: "access-lost" };

/** Whether a kind of notification is a watch's last. */
export function isFinal(kind: number): boolean {
  return kind in ENDINGS;
}

/** The lengths that a notification of this kind may have; `undefined` where there is none for this watch. */
export function notificationLengths(kind: number, push: boolean): Lengths | undefined {
  switch (kind) {
    case 1:
      return push ? ANY_8 : L8;
    case 2:
      return push ? ANY_12 : undefined;
    case 3:
      return L1;
    case 4:
    case 5:
      return L8;
    default:
      return isFinal(kind) ? L0 : undefined;
  }
}

/** Reads a complete notification of a length that is allowed; `undefined` where a field has a value that it must not have. */
export function readNotification(kind: number, payload: Buffer, push: boolean): Notification | undefined {
  switch (kind) {
    case 1:
      return { change: "changed", version: readU64(payload, 0), data: push ? payload.subarray(8) : undefined };
    case 2:
      return {
        change: "range", version: readU64(payload, 0), offset: readU32(payload, 8), data: payload.subarray(12),
      };
    case 3: {
      const access = accessOf(payload[0] as number);
      return access && { change: "access", access };
    }
    case 4:
    case 5: {
      const owner = readU64(payload, 0);
      return owner === 0n ? undefined : { change: kind === 4 ? "owner" : "requested", owner };
    }
    default: {
      const ending = ENDINGS[kind];
      return ending && { change: ending };
    }
  }
}

/** The memory that a notification stands for, in bytes: 128 and its data. */
export function weight(notification: Notification): number {
  const data = "data" in notification ? notification.data : undefined;
  return 128 + (data === undefined ? 0 : data.length);
}
