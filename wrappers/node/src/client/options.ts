import { isIP } from "node:net";
import { shown } from "../wire/values.js";
import * as check from "./check.js";

/** The port that servers listen on by default. */
const PORT = 7420;

/** How a client connects, and what it allows itself. Times are in milliseconds. */
export interface ConnectOptions {
  /** `HOST:PORT`, `HOST` or `netswap://HOST:PORT`; the port is 7420 by default. An IPv6 address stands in brackets. */
  readonly address: string;
  /** The local IP address to connect from: the system's choice by default. A client is known by its address. */
  readonly bind?: string | undefined;
  /** For connecting and the greeting together: 5000 by default. */
  readonly connectTimeout?: number | undefined;
  /** How long a call may go without any byte of its request or reply moving: 10000 by default. */
  readonly requestTimeout?: number | undefined;
  /** Whether a lost connection is made again: `true` by default. */
  readonly reconnect?: boolean | undefined;
  /**
   * Before the first, and at most before a later attempt to connect again: [100, 10000] by default. They double from one
   * attempt to the next, and each has a random part of up to as much again.
   */
  readonly reconnectDelays?: readonly [first?: number | undefined, most?: number | undefined] | undefined;
  /**
   * Whether calls wait for a connection that was lost and is being made again, up to their timeout: `true` by default.
   * With `false` they fail at once, with the kind `connect`.
   */
  readonly waitForConnection?: boolean | undefined;
  /** The most bytes of data that are taken whole: 1 GiB by default, 4294967295 at most. Streams have no limit. */
  readonly maxReply?: number | undefined;
  /** Calls under way at once: 1024 by default. Watches do not count. */
  readonly maxRequests?: number | undefined;
  /** Ends the attempt to connect. It has no effect once there is a client. */
  readonly signal?: AbortSignal | undefined;
}

/** Options with all that they left open. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  /** Host and port, as messages have them. */
  readonly address: string;
  readonly bind: string | undefined;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly reconnect: boolean;
  readonly delays: readonly [number, number];
  readonly waitForConnection: boolean;
  readonly maxReply: number;
  readonly maxRequests: number;
  readonly signal: AbortSignal | undefined;
}

/** Checks options, and fills in the defaults (docs/PORTING.md §2). */
export function settings(given: string | ConnectOptions): Settings {
  const options: ConnectOptions = typeof given === "string" ? { address: given } : given;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options must be an address or an object, not ${shown(given)}`);
  }
  const { host, port } = parseAddress(check.text("address", options.address));
  const or = <T>(value: T | undefined, usual: T, checked: (value: T) => T): T =>
    value === undefined ? usual : checked(value);
  const time = (name: string, value: number | undefined, usual: number): number =>
    or(value, usual, (given) => check.milliseconds(name, given));
  const delays = or(options.reconnectDelays, [], (given) => {
    if (!Array.isArray(given)) throw new TypeError(`reconnectDelays must be [first, most], not ${shown(given)}`);
    return given;
  });
  const first = time("reconnectDelays[0]", delays[0], 100);
  const most = time("reconnectDelays[1]", delays[1], 10_000);
  return {
    host, port, address: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`,
    bind: or(options.bind, undefined, (bind) => {
      if (typeof bind !== "string" || isIP(bind) === 0) throw new TypeError(`bind must be an IP address, not ${shown(bind)}`);
      return bind;
    }),
    connectTimeout: time("connectTimeout", options.connectTimeout, 5000),
    requestTimeout: time("requestTimeout", options.requestTimeout, 10_000),
    reconnect: or(options.reconnect, true, (given) => check.boolean("reconnect", given)),
    delays: [first, most],
    waitForConnection: or(options.waitForConnection, true, (given) => check.boolean("waitForConnection", given)),
    maxReply: or(options.maxReply, 2 ** 30, (given) => check.u32("maxReply", given)),
    maxRequests: or(options.maxRequests, 1024, (given) => check.whole("maxRequests", given, 2 ** 31, 1)),
    signal: or(options.signal, undefined, (given) => check.signal("signal", given)),
  };
}

/** Reads `HOST:PORT`, `HOST`, `[IPv6]:PORT`, or a URL of them with whatever path. */
function parseAddress(address: string): { host: string; port: number } {
  const bad = (): TypeError => new TypeError(`address must be HOST:PORT or netswap://HOST:PORT, not ${shown(address)}`);
  const bare = address.startsWith("netswap://") ? (address.slice(10).split("/")[0] as string) : address;
  if (isIP(bare) === 6) return { host: bare, port: PORT };
  const match = /^(?:\[([^\]]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/.exec(bare);
  if (match === null) throw bad();
  const host = (match[1] ?? match[2]) as string;
  const port = match[3] === undefined ? PORT : Number(match[3]);
  if (port < 1 || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) throw bad();
  return { host, port };
}
