import { connect, type Socket } from "node:net";
import { noAnswer, notConnected } from "./errors.js";
import type { Settings } from "./options.js";

/**
 * Milliseconds of silence after which the system asks whether the server is there: ten times, a second apart. Who only
 * watches would never find out otherwise.
 */
const SILENCE = 50_000;

/** The memory that a socket reads into, in bytes. */
const READ_AT_MOST = 128 * 1024;

/** A socket that is connected. */
export interface Dialled {
  readonly socket: Socket;
  /** Passes what the socket gives to somebody; `false` of it stops the socket. */
  read(input: (bytes: Uint8Array) => boolean): void;
}

/**
 * Connects a socket, within the time that there is; with `ref` it keeps the process alive meanwhile. Rejects with a
 * NetSwapError of the kind `connect`, or with what the signal has as its reason.
 */
export function dial(
  settings: Settings, milliseconds: number, signal: AbortSignal | undefined, ref: boolean,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    let input: (bytes: Uint8Array) => boolean = () => true;
    const { host, port, bind } = settings;
    const socket = connect({
      host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: SILENCE, ...(bind !== undefined && { localAddress: bind }),
      onread: {
        // Parts of a plain Uint8Array cost less than those of a Buffer.
        buffer: new Uint8Array(READ_AT_MOST),
        callback: (count, memory) => input(count === memory.length ? memory : memory.subarray(0, count)),
      },
    });
    // Whoever hears of its errors, and when: none of them ends the process.
    socket.on("error", () => {});
    const end = (error: unknown): void => {
      leave();
      socket.destroy();
      reject(error as Error);
    };
    const onError = (error: Error): void => end(notConnected(settings.address, plain(error)));
    const onAbort = (): void => end(signal?.reason);
    const onConnect = (): void => {
      leave();
      resolve({ socket, read: (reader) => (input = reader) });
    };
    const timer = setTimeout(() => end(noAnswer(settings.address, settings.connectTimeout)),
      Math.min(milliseconds, 2 ** 31 - 1));
    if (!ref) {
      socket.unref();
      timer.unref();
    }
    const leave = (): void => {
      clearTimeout(timer);
      socket.off("error", onError);
      socket.off("connect", onConnect);
      signal?.removeEventListener("abort", onAbort);
    };
    socket.on("error", onError);
    socket.on("connect", onConnect);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Of several addresses that failed, the last error says enough. */
function plain(error: Error): Error {
  const last: unknown = error instanceof AggregateError ? error.errors.at(-1) : undefined;
  return last instanceof Error ? last : error;
}
