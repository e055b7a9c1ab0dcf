/**
 * The client of NetSwap: records in a server's memory, passed by 64-bit pointer. Begin with {@link connect}.
 *
 * @packageDocumentation
 */
export { Client, connect, type ClientEvents } from "./client.js";
export type { Calls, CallOptions, Lifetime, Range, Snapshot } from "./client/calls.js";
export type { Streams, StreamOptions, WatchOptions } from "./client/streams.js";
export type { Change } from "./client/change.js";
export type { RecordStream } from "./client/download.js";
export { AbortError, NetSwapError, type ErrorKind } from "./client/errors.js";
export type { Mirror } from "./client/mirror.js";
export type { ConnectOptions } from "./client/options.js";
export type { ConnectionEvent } from "./client/session.js";
export type { Progress, Source } from "./client/upload.js";
export type { PendingWatch, Watch } from "./client/watch.js";
export type { Outcome } from "./connection/transaction.js";
export type { Ending, Notification } from "./wire/notification.js";
export type { RefusalCode } from "./wire/refusal.js";
export type { Identity, Stat } from "./wire/reply.js";
export {
  formatOwner, formatPointer, parseOwner, parsePointer, type Access, type Owner, type Pointer, type Version,
} from "./wire/values.js";
