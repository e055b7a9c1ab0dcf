import type { Socket } from "node:net";
import { Connection, type Config } from "../connection/connection.js";
import type { Outcome, Transaction } from "../connection/transaction.js";
import type { Disconnect } from "./errors.js";
import type { Waiter } from "./waiter.js";

/** Bytes that are written at a time. What is queued later waits for these at most before its first packet goes out. */
const WRITE_AT_MOST = 128 * 1024;

/**
 * Writes before the event loop has its turn, whoever asks for them: sources that never wait would let nobody else run while
 * the system takes all that is written at once.
 */
const WRITES_AT_MOST = 16;

/** The first memory to write from, which most connections never outgrow. */
const WRITE_FIRST = 8 * 1024;

/** How long the last bytes of a client that is being closed may take to leave, in milliseconds. */
const CLOSE_WITHIN = 1000;

/** What a link tells. */
export interface LinkOwner {
  /** Something has happened: there are events to pass on. */
  deliver(link: Link, cause: Disconnect | undefined): void;
  /** The connection has ended. */
  lost(link: Link, cause: Disconnect): void;
}

/** Moves the bytes of one connection between its socket and its state machine, and watches the clock for it. */
export class Link {
  readonly machine: Connection<Waiter>;
  /** Whether the server has ever said anything that makes sense. */
  answered = false;
  readonly #socket: Socket;
  readonly #owner: LinkOwner;
  #buffer = new Uint8Array(WRITE_FIRST);
  #flushing = false;
  /** Writes since the event loop had its turn. */
  #writes = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  #timerAt = Infinity;
  #reading = true;
  #over = false;

  /** The socket is connected; what it gives comes through {@link input}. */
  constructor(socket: Socket, owner: LinkOwner, config: Config) {
    this.#socket = socket;
    this.#owner = owner;
    this.machine = new Connection(config);
    socket.on("error", (error) => this.#lost({ kind: "io", error }));
    socket.on("end", () => this.#lost({ kind: "ended" }));
    socket.on("close", () => this.#lost({ kind: "ended" }));
  }

  /** Bytes have arrived. Whether more are welcome. */
  input(bytes: Uint8Array): boolean {
    if (this.#over) return false;
    this.#writes = 0;
    const fault = this.machine.handleInput(bytes, performance.now());
    if (fault !== undefined) {
      this.#lost({ kind: "fault", fault });
      return false;
    }
    this.answered = true;
    this.#moved();
    return this.#reading;
  }

  /**
   * There is something to send: it leaves together with whatever else is asked for before the next turn. While the socket
   * has not taken the last bytes, it is that which goes on.
   */
  wake(): void {
    if (this.#flushing || this.#over || this.#socket.writableLength > 0) return;
    this.#flushing = true;
    if (this.#writes < WRITES_AT_MOST) process.nextTick(this.#flush);
    else setImmediate(this.#flushAnew);
  }

  readonly #flushAnew = (): void => {
    this.#writes = 0;
    this.#flush();
  };

  readonly #flush = (): void => {
    this.#flushing = false;
    if (this.#over) return;
    const { machine } = this;
    for (; machine.wantsWrite && this.#socket.writableLength === 0 && this.#writes < WRITES_AT_MOST; this.#writes += 1) {
      const length = machine.take(this.#buffer, performance.now());
      // Nothing, where all that was to be sent turned out to be torn.
      if (length === 0) continue;
      // The memory is the socket's until it has nothing left to write.
      this.#socket.write(this.#buffer.subarray(0, length), this.#written);
      if (this.#over) return;
      if (machine.wantsWrite && this.#buffer.length < WRITE_AT_MOST) {
        this.#buffer = new Uint8Array(WRITE_AT_MOST);
      }
    }
    this.#moved();
  };

  readonly #written = (error?: Error | null): void => {
    if (error === undefined || error === null) {
      if (this.machine.wantsWrite) this.wake();
    }
  };

  /** Gives up a transaction. */
  abort(transaction: Transaction<Waiter>): Outcome | undefined {
    const outcome = this.machine.abort(transaction, performance.now());
    this.#moved();
    return outcome;
  }

  /** The caller has taken so many bytes of pieces or notifications. */
  consumed(transaction: Transaction<Waiter>, count: number): void {
    this.machine.consumed(transaction, count, performance.now());
    this.#moved();
  }

  /** Passes on what has happened, and sets the socket and the timer to what the machine wants now. */
  #moved(): void {
    if (this.machine.events.length > 0) this.#owner.deliver(this, undefined);
    if (this.#over) return;
    if (this.machine.wantsWrite) this.wake();
    const reading = this.machine.wantsRead;
    if (reading !== this.#reading) {
      this.#reading = reading;
      if (reading) this.#socket.resume();
      else this.#socket.pause();
    }
    this.watchClock();
  }

  /** Sets the timer, where the next deadline is before what it is set to. */
  watchClock(): void {
    const at = this.machine.timeout;
    if (at >= this.#timerAt || this.#over) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const delay = Math.min(Math.max(at - performance.now(), 0) + 1, 2 ** 31 - 1);
    // The socket keeps the process alive, unless the application wants it otherwise.
    this.#timer = setTimeout(this.#timeOut, delay).unref();
  }

  readonly #timeOut = (): void => {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    if (this.#over) return;
    const fault = this.machine.handleTimeout(performance.now());
    if (fault === undefined) this.#moved();
    else this.#lost({ kind: "fault", fault });
  };

  /** Sends what is left, and ends the connection in order; in any case after a second. */
  end(done: () => void): void {
    if (this.#over) return done();
    this.#flush();
    const close = (): void => {
      clearTimeout(timer);
      clearInterval(look);
      this.destroy();
      done();
    };
    const timer = setTimeout(close, CLOSE_WITHIN);
    // Whatever waits to be sent are ABORTs and the last bytes of the kernel's queue.
    const look = setInterval(() => {
      if (!this.machine.wantsWrite) finish();
    }, 5);
    const finish = (): void => {
      clearInterval(look);
      this.#socket.end(close);
    };
    if (!this.machine.wantsWrite) finish();
    this.#socket.once("close", close);
  }

  /** Closes the socket at once. Nothing is told any more. */
  destroy(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #lost(cause: Disconnect): void {
    if (this.#over) return;
    this.destroy();
    this.machine.handleEnd();
    this.#owner.lost(this, cause);
  }

  ref(yes: boolean): void {
    if (yes) this.#socket.ref();
    else this.#socket.unref();
  }
}
