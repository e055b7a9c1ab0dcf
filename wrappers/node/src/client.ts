import { EventEmitter } from "node:events";
import { Calls } from "./client/calls.js";
import * as check from "./client/check.js";
import { dial } from "./client/dial.js";
import { AbortError, NetSwapError, noAnswer, otherVersion } from "./client/errors.js";
import { settings, type ConnectOptions } from "./client/options.js";
import { Session, type ConnectionEvent } from "./client/session.js";

/** The events of a client, as those of an EventEmitter. There is no `error` event: what fails rejects a promise. */
export interface ClientEvents {
  /** There is a connection again, to this address. */
  connected: [address: string];
  /** The connection ended, because of this. What was under way has failed. */
  disconnected: [error: NetSwapError];
  /** The client is about to connect again: `attempt` is 1 for the first, `delay` is in milliseconds. */
  reconnecting: [attempt: number, delay: number];
  /** The client is closed for good: it was told so, or does not connect again. The last event. */
  closed: [];
}

/** Events that wait for an iteration at most; one that lets more gather misses the newest. */
const WAITING_AT_MOST = 64;

/** The version of the protocol. */
const PROTOCOL = 1;

/**
 * A connection to a server, and the next one when it is lost. Any number of calls can be under way at once: large ones
 * take turns with small ones (docs/PROTOCOL.md §2.3). Made by {@link connect}.
 *
 * Calls reject with a {@link NetSwapError}, with an {@link AbortError} when their `signal` says so, and with a TypeError
 * that names the argument where one is wrong. A request is never sent twice; `outcome` of the error tells whether it may
 * have taken effect.
 */
export class Client extends Calls implements AsyncDisposable, Disposable {
  readonly #emitter: EventEmitter<ClientEvents>;

  /** @internal */
  constructor(session: Session, emitter: EventEmitter<ClientEvents>) {
    super(session);
    this.#emitter = emitter;
  }

  /** Calls `listener` on every such event from now on. */
  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.#check(event, listener);
    this.#emitter.on(event, listener as never);
    return this;
  }

  /** Calls `listener` on the next such event. */
  once<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.#check(event, listener);
    this.#emitter.once(event, listener as never);
    return this;
  }

  /** Calls `listener` no more. */
  off<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.#check(event, listener);
    this.#emitter.off(event, listener as never);
    return this;
  }

  #check(event: unknown, listener: unknown): void {
    check.word("event", event, ["connected", "disconnected", "reconnecting", "closed"]);
    check.callback("listener", listener);
  }

  /** What happens to the connection from now on, as an async iterable, which ends after `closed`. Up to 64 events wait. */
  events(): AsyncIterableIterator<ConnectionEvent, undefined, undefined> {
    return new Events(this.#emitter, this.isClosed);
  }

  /** Whether the client is closed for good. */
  get isClosed(): boolean {
    return this.session.isClosed;
  }

  /**
   * Closes the client: calls that are under way get their answers, but for {@link resolveWait}, watches end, and new calls
   * reject with the kind `closed`. Resolves when the connection has ended.
   */
  close(): Promise<void> {
    return this.session.close();
  }

  /** Closes the client at once: calls that are under way reject with the kind `closed`, and may have been done or not. */
  destroy(): void {
    this.session.destroy();
  }

  /** The connection keeps the process alive, as it does from the beginning. */
  ref(): this {
    this.session.ref(true);
    return this;
  }

  /** The connection does not keep the process alive. */
  unref(): this {
    this.session.ref(false);
    return this;
  }

  /** As {@link close}: what `await using` does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** As {@link destroy}: what `using` does. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** The events of a client as an iterable. */
class Events implements AsyncIterableIterator<ConnectionEvent, undefined, undefined> {
  readonly #waiting: ConnectionEvent[] = [];
  #readers: ((result: IteratorResult<ConnectionEvent, undefined>) => void)[] = [];
  #over: boolean;
  readonly #leave: () => void;

  constructor(emitter: EventEmitter<ClientEvents>, over: boolean) {
    this.#over = over;
    const listeners = {
      connected: (address: string) => this.#tell({ event: "connected", address }),
      disconnected: (error: NetSwapError) => this.#tell({ event: "disconnected", error }),
      reconnecting: (attempt: number, delay: number) => this.#tell({ event: "reconnecting", attempt, delay }),
      closed: () => {
        this.#tell({ event: "closed" });
        this.#end();
      },
    };
    const all = Object.entries(listeners) as [keyof ClientEvents, () => void][];
    this.#leave = () => {
      for (const [event, listener] of all) emitter.off(event, listener as never);
    };
    if (over) return;
    for (const [event, listener] of all) emitter.on(event, listener as never);
  }

  #tell(value: ConnectionEvent): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) reader({ done: false, value });
    else if (this.#waiting.length < WAITING_AT_MOST || value.event === "closed") this.#waiting.push(value);
  }

  #end(): void {
    this.#over = true;
    this.#leave();
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<ConnectionEvent, undefined>> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<ConnectionEvent, undefined>> {
    this.#waiting.length = 0;
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/**
 * Connects to a server and greets it (docs/PROTOCOL.md §8.2, docs/PORTING.md §2). A first connection is not tried again.
 *
 * ```js
 * const client = await connect("netswap://127.0.0.1:7420");
 * ```
 *
 * @param options the address, or an object with it and whatever else is to be other than by default.
 * @returns the client. It keeps the process alive until it is closed, see {@link Client.unref}.
 * Rejects with a {@link NetSwapError} of the kind `connect` where no connection can be made or nobody answers, and of
 * others where somebody else answers than a server with room for this client.
 */
export async function connect(options: string | ConnectOptions): Promise<Client> {
  const given = settings(options);
  const { signal, connectTimeout, address } = given;
  if (signal?.aborted === true) throw new AbortError(signal.reason, "not-done");
  const by = performance.now() + connectTimeout;
  const dialled = await dial(given, connectTimeout, signal, true).catch((error: unknown) => {
    throw error instanceof NetSwapError ? error : new AbortError(error, "not-done");
  });
  const emitter = new EventEmitter<ClientEvents>();
  const session = new Session(given, (event) => process.nextTick(emit, emitter, event));
  session.begin(dialled);
  const client = new Client(session, emitter);
  const late = AbortSignal.timeout(Math.max(0, Math.min(Math.ceil(by - performance.now()), 2 ** 32 - 1)));
  try {
    const both = signal === undefined ? late : AbortSignal.any([late, signal]);
    const { protocol } = await client.identify({ signal: both, timeout: Infinity });
    if (protocol !== PROTOCOL) throw otherVersion(protocol);
  } catch (error) {
    client.destroy();
    if (!(error instanceof AbortError)) throw error;
    throw late.aborted ? noAnswer(address, connectTimeout) : error;
  }
  session.greeted();
  return client;
}

/** Tells listeners apart from what happens inside: what they throw is theirs. */
function emit(emitter: EventEmitter<ClientEvents>, event: ConnectionEvent): void {
  switch (event.event) {
    case "connected":
      emitter.emit("connected", event.address);
      break;
    case "disconnected":
      emitter.emit("disconnected", event.error);
      break;
    case "reconnecting":
      emitter.emit("reconnecting", event.attempt, event.delay);
      break;
    case "closed":
      emitter.emit("closed");
  }
}
