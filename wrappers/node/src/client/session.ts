import type { Config } from "../connection/connection.js";
import type { RequestOptions } from "../connection/transaction.js";
import type { Reply } from "../wire/reply.js";
import { identify, type Request } from "../wire/request.js";
import { Call } from "./call.js";
import { Delays } from "./delays.js";
import { dial, type Dialled } from "./dial.js";
import { closed, lost, NetSwapError, noConnection, notMade, type Disconnect } from "./errors.js";
import { Link, type LinkOwner } from "./link.js";
import type { Settings } from "./options.js";
import { Watches } from "./watches.js";

/** What happens to a client's connection. */
export type ConnectionEvent =
  /** There is a connection again. */
  | { readonly event: "connected"; readonly address: string }
  /** The connection ended; what was under way has failed. */
  | { readonly event: "disconnected"; readonly error: NetSwapError }
  /** The client is about to connect again, `attempt` 1 for the first, after `delay` milliseconds. */
  | { readonly event: "reconnecting"; readonly attempt: number; readonly delay: number }
  /** The client is closed for good: it was told so, or does not connect again. The last event. */
  | { readonly event: "closed" };

/** The settings of one call. Times are in milliseconds. */
export interface SessionCallOptions {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A client's connection, and the next one when it is lost; and who waits for what. */
export class Session implements LinkOwner {
  readonly watches: Watches;
  readonly #config: Config;
  #link: Link | undefined = undefined;
  /** Whether no more calls are taken. */
  #closing = false;
  /** Whether there is no connection, and will be none. */
  #closed = false;
  /** Whether a lost connection is made again: not before the server was greeted. */
  #reconnects = false;
  /** Calls that wait for a connection. */
  readonly #waiting = new Set<Call>();
  /** Calls that may have to wait for long. */
  readonly #patient = new Set<Call>();
  /** Calls that have not ended. */
  #calls = 0;
  #delays: Delays;
  readonly #over = new AbortController();
  readonly #whenClosed: (() => void)[] = [];
  #pause: NodeJS.Timeout | undefined = undefined;
  #ref = true;

  constructor(readonly settings: Settings, readonly tell: (event: ConnectionEvent) => void) {
    const { maxReply, maxRequests, requestTimeout, delays } = settings;
    this.#config = { maxReply, maxRequests, idleTimeout: requestTimeout };
    this.#delays = new Delays(...delays);
    this.watches = new Watches(this);
  }

  /** There is a first connection. */
  begin(dialled: Dialled): void {
    this.#link = this.#attach(dialled);
  }

  /** The server was greeted: from now on a lost connection is made again, where the settings say so. */
  greeted(): void {
    this.#reconnects = this.settings.reconnect;
  }

  /** The connection, while there is one. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** Whether no more calls are taken. */
  get isClosing(): boolean {
    return this.#closing || this.#closed;
  }

  /** Whether the client is closed for good. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** The connection, for which it waits where there will be one again: as long as a call may. */
  connected(idleTimeout: number, signal: AbortSignal | undefined): Promise<Link> {
    return new Promise((resolve, reject) => {
      const call = new Wait(this, resolve, reject, idleTimeout);
      this.start(call, signal);
    });
  }

  /** Makes a request, now or when there is a connection. */
  call(
    request: Request, options: RequestOptions, signal: AbortSignal | undefined,
    resolve: (reply: Reply) => void, reject: (error: unknown) => void,
  ): Call {
    const call = new Call(this, request, options, resolve, reject);
    this.start(call, signal);
    return call;
  }

  start(call: Call, signal: AbortSignal | undefined): void {
    this.#calls += 1;
    if (signal !== undefined && !call.listen(signal)) return;
    if (this.#closing || this.#closed) {
      call.fail(closed());
    } else if (this.#link !== undefined) {
      this.#send(call, this.#link);
    } else if (!this.settings.waitForConnection) {
      call.fail(new NetSwapError("connect", "there is no connection; nothing was sent", { retryable: true }));
    } else {
      this.#waiting.add(call);
      const time = call.options.idleTimeout;
      if (time === Infinity) return;
      call.timer = setTimeout(() => call.fail(noConnection()), Math.min(time, 2 ** 31 - 1));
      if (!this.#ref) call.timer.unref();
    }
  }

  #send(call: Call, link: Link): void {
    if (call instanceof Wait) {
      call.settle();
      call.connected(link);
      return;
    }
    const made = link.machine.request(call, call.request, call.options, performance.now());
    if (typeof made === "string") {
      call.fail(notMade(made, this.settings.maxRequests));
      return;
    }
    call.link = link;
    call.transaction = made;
    if (call.patient) this.#patient.add(call);
    link.wake();
  }

  /** A call has ended. */
  settled(call: Call): void {
    this.#calls -= 1;
    this.#waiting.delete(call);
    if (call.patient) this.#patient.delete(call);
    if (this.#closing) this.checkClosing();
  }

  deliver(link: Link, cause: Disconnect | undefined): void {
    const { machine } = link;
    while (machine.events.length > 0) {
      const { events } = machine;
      machine.events = [];
      for (const event of events) {
        switch (event.event) {
          case "replied":
            event.owner.replied(event.reply);
            break;
          case "ended":
            event.owner.ended(event.failure, event.outcome, cause);
            break;
          case "piece":
            event.owner.piece(event.data, event.total);
            break;
          case "wanted":
            event.owner.wanted();
            break;
          case "watching":
            event.owner.watching(event.version);
            break;
          case "notified":
            event.owner.notified(event.notification);
            break;
        }
      }
    }
    if (link === this.#link) this.watches.arm();
  }

  lost(link: Link, cause: Disconnect): void {
    if (link !== this.#link) return;
    const again = this.#reconnects && !this.#closing;
    this.#link = undefined;
    this.tell({ event: "disconnected", error: lost(cause, "not-done") });
    if (!again) this.watches.expectTheEnd();
    // Calls that are made from now on wait for the next connection.
    this.deliver(link, cause);
    if (!again) {
      this.#close(cause);
      return;
    }
    if (link.answered) this.#delays = new Delays(...this.settings.delays);
    this.#retry();
  }

  /** Connects again, however many attempts it takes. */
  #retry(): void {
    if (this.#closed) return;
    const { attempt, delay } = this.#delays.next();
    this.tell({ event: "reconnecting", attempt, delay });
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      dial(this.settings, this.settings.connectTimeout, this.#over.signal, this.#ref).then(
        (dialled) => this.#connected(dialled),
        () => this.#retry(),
      );
    }, delay);
    if (!this.#ref) this.#pause.unref();
  }

  #connected(dialled: Dialled): void {
    if (this.#closed) {
      dialled.socket.destroy();
      return;
    }
    const link = this.#attach(dialled);
    this.#link = link;
    this.tell({ event: "connected", address: this.settings.address });
    this.watches.armAll();
    for (const call of [...this.#waiting]) {
      this.#waiting.delete(call);
      clearTimeout(call.timer);
      this.#send(call, link);
    }
  }

  #attach(dialled: Dialled): Link {
    const link = new Link(dialled.socket, this, this.#config);
    dialled.read((bytes) => link.input(bytes));
    link.ref(this.#ref);
    return link;
  }

  /**
   * Takes no more calls; ends those that may have to wait for long, and the connection when all others have their answers.
   */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const done = new Promise<void>((resolve) => this.#whenClosed.push(resolve));
    if (!this.#closing) {
      this.#closing = true;
      this.watches.expectTheEnd();
      for (const call of [...this.#patient, ...this.#waiting]) {
        if (call.settled) continue;
        call.abandon();
        call.reject(closed());
      }
      this.checkClosing();
    }
    return done;
  }

  /** Ends the connection, when nobody waits for an answer any more. */
  checkClosing(): void {
    if (!this.#closing || this.#closed || this.#calls > 0 || this.watches.anyBegins) return;
    const link = this.#link;
    if (link === undefined) {
      this.#close(undefined);
      return;
    }
    this.#link = undefined;
    this.watches.endAll(closed);
    link.end(() => this.#close(undefined));
  }

  /** Ends everything at once. */
  destroy(): void {
    if (this.#closed) return;
    this.#closing = true;
    this.watches.expectTheEnd();
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) {
      link.destroy();
      link.machine.handleEnd();
      this.deliver(link, undefined);
    }
    this.#close(undefined);
  }

  /** There is no connection, and will be none: whoever still waits is told. */
  #close(cause: Disconnect | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const told = this.#closing || cause === undefined;
    this.#over.abort();
    clearTimeout(this.#pause);
    this.watches.endAll(() => (told ? closed() : lost(cause, "not-done")));
    for (const call of [...this.#waiting]) call.fail(closed());
    this.tell({ event: "closed" });
    for (const done of this.#whenClosed) done();
  }

  /** Whether the connection, or the attempt to make it again, keeps the process alive. */
  ref(yes: boolean): void {
    this.#ref = yes;
    this.#link?.ref(yes);
    if (yes) this.#pause?.ref();
    else this.#pause?.unref();
    for (const call of this.#waiting) {
      if (yes) call.timer?.ref();
      else call.timer?.unref();
    }
  }
}

/** Waits for a connection, like a call, and makes no request. */
class Wait extends Call {
  constructor(
    session: Session, readonly connected: (link: Link) => void, reject: (error: unknown) => void, idleTimeout: number,
  ) {
    super(session, identify(), { idleTimeout }, () => {}, reject);
  }
}
