// Every argument is checked, and the TypeError names it.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { Client, connect, formatOwner, formatPointer, parseOwner, parsePointer } from "netswap";
import { moved, pretend } from "./support.mjs";

let server;
let client;
before(async () => {
  server = await pretend(() => {});
  client = await connect(server.address);
});
after(() => {
  client.destroy();
  server.close();
});

const named = (name) => (error) => error instanceof TypeError && error.message.startsWith(`${name} must`);

test("options of connecting", async () => {
  const bad = [
    [undefined, "options"], [null, "options"], [7, "options"], ["", "address"], [{}, "address"], [{ address: 7 }, "address"],
    ["host:port", "address"], ["host:0", "address"], ["host:65536", "address"], ["a b", "address"], ["[host]:1", "address"],
    [{ address: "h", bind: "localhost" }, "bind"], [{ address: "h", connectTimeout: 0 }, "connectTimeout"],
    [{ address: "h", requestTimeout: "1" }, "requestTimeout"], [{ address: "h", requestTimeout: NaN }, "requestTimeout"],
    [{ address: "h", reconnect: "no" }, "reconnect"], [{ address: "h", reconnectDelays: 100 }, "reconnectDelays"],
    [{ address: "h", reconnectDelays: [-1] }, "reconnectDelays[0]"],
    [{ address: "h", waitForConnection: 1 }, "waitForConnection"], [{ address: "h", maxReply: -1 }, "maxReply"],
    [{ address: "h", maxReply: 2 ** 32 }, "maxReply"], [{ address: "h", maxRequests: 0 }, "maxRequests"],
    [{ address: "h", signal: {} }, "signal"],
  ];
  for (const [options, name] of bad) await assert.rejects(connect(options), named(name), JSON.stringify(options));
});

/** Arguments by name: a good one, and what is not good beside what is good for none of them. */
const data = Buffer.from("x");
const ARGUMENTS = {
  pointer: { good: 1n }, version: { good: 1n }, owner: { good: 1n }, delta: { good: 1n, but: [-1n], bad: [2n ** 63n] },
  offset: { good: 0, bad: [2 ** 32] }, length: { good: 1, bad: [2 ** 32] }, access: { good: "r", bad: ["tr", "", "R"] },
  data: { good: data, bad: [new ArrayBuffer(1), new Uint16Array(1), "text"] },
  source: { good: [data], but: ["object"], bad: [data, {}, new Date()] }, sink: { good: new Writable({ write: (_, __, done) => done() }) },
  change: { good: (old) => old, but: ["function"] }, listener: { good: () => {}, but: ["function"] },
  event: { good: "closed", bad: ["error", "connect"] }, lifetime: { good: {}, but: ["object"], bad: [null] },
  options: { good: { timeout: 30 }, but: ["object"], bad: [null] },
};
const NOTHING_GOOD = [null, true, 7.5, -1, NaN, "zzz", Symbol("x"), -1n, 2n ** 64n, {}, [], () => {}, new Date(), new Map()];

/** The arguments of every method, in order. */
const METHODS = {
  create: "data access", reserve: "access", resolve: "pointer", resolveWait: "pointer", resolveIfChanged: "pointer version",
  readRange: "pointer offset length", replace: "pointer data", writeRange: "pointer offset data", append: "pointer data",
  compareAndReplace: "pointer version data", update: "pointer change", fetchAdd: "pointer offset delta", stat: "pointer",
  setPermissions: "pointer access", setLifetime: "pointer lifetime", delete: "pointer", takeover: "pointer",
  transfer: "pointer owner", requestOwnership: "pointer", list: "", identify: "", ping: "data",
  createFrom: "source length access", replaceFrom: "pointer source length", writeRangeFrom: "pointer offset source length",
  appendFrom: "pointer source length", compareAndReplaceFrom: "pointer version source length", resolveInto: "pointer sink",
  resolveStream: "pointer", watch: "pointer", mirror: "pointer",
};
const LISTENING = { on: "event listener", once: "event listener", off: "event listener" };
const WITHOUT = ["constructor", "call", "idleTimeout", "events", "isClosed", "close", "destroy", "ref", "unref"];

/** Makes a call, and waits for what comes of it. */
async function outcome(method, args) {
  const result = client[method](...args);
  if (method === "resolveStream") for await (const chunk of result) assert.ok(chunk);
  return result;
}

test("every argument of every method", async () => {
  const methods = [...Object.keys(METHODS), ...Object.keys(LISTENING)];
  const prototypes = [Client.prototype, Object.getPrototypeOf(Client.prototype), Object.getPrototypeOf(Object.getPrototypeOf(Client.prototype))];
  const there = prototypes.flatMap((prototype) => Object.getOwnPropertyNames(prototype));
  assert.deepEqual(new Set(there), new Set([...methods, ...WITHOUT]), "the methods that there are");
  let checked = 0;
  for (const [method, words] of [...Object.entries(METHODS), ...Object.entries(LISTENING)]) {
    const names = words.split(" ").filter(Boolean);
    if (method in METHODS) names.push("options");
    for (const [at, name] of names.entries()) {
      const { but = [], bad = [] } = ARGUMENTS[name];
      for (const value of [...NOTHING_GOOD.filter((value) => !but.includes(value) && !but.includes(typeof value)), ...bad]) {
        const args = names.map((name, index) => (index === at ? value : ARGUMENTS[name].good));
        await assert.rejects(outcome(method, args), named(name), `${method}: ${name} ${String(value)}`);
        checked += 1;
      }
    }
  }
  assert.ok(checked > 1000, `${checked}`);
});

test("every option of every method", async () => {
  const bad = [
    ["timeout", [0, -1, NaN, "1", null]], ["signal", [{}, null, 7]],
    ["progress", [1, null], /From$|Into$|Stream$/], ["push", [1, null], /^watch$/], ["end", [1, null], /Into$/],
  ];
  for (const [method, words] of Object.entries(METHODS)) {
    const good = words.split(" ").filter(Boolean).map((name) => ARGUMENTS[name].good);
    for (const [name, values, of = /./] of bad) {
      if (!of.test(method)) continue;
      for (const value of values) {
        const result = outcome(method, [...good, { timeout: 30, [name]: value }]);
        await assert.rejects(result, named(name), `${method}: ${name} ${String(value)}`);
      }
    }
  }
});

test("what is inside of arguments", async () => {
  const bad = [
    ["lifetime.ttl", (c) => c.setLifetime(1n, { ttl: 0 })], ["lifetime.grace", (c) => c.setLifetime(1n, { grace: 0xffff_ffff })],
    ["lifetime.heir", (c) => c.setLifetime(1n, { heir: 1 })], ["source", (c) => c.createFrom(["text"], 4)],
    ["data", (c) => c.create(moved(new Uint8Array(10)))],
  ];
  for (const [name, call] of bad) await assert.rejects(async () => call(client), named(name), call.toString());
});

test("pointers and owners as text", () => {
  assert.equal(formatPointer(0xc0ffee00c0ffeen), "00c0ffee00c0ffee");
  assert.equal(formatOwner(0n), "0000000000000000");
  assert.equal(parsePointer("00C0ffee00c0FFEE"), 0xc0ffee00c0ffeen);
  assert.equal(parsePointer("netswap://192.0.2.1:7420/00c0ffee00c0ffee"), 0xc0ffee00c0ffeen);
  assert.equal(parseOwner("ffffffffffffffff"), 2n ** 64n - 1n);
  for (const text of ["", "1", "0x00c0ffee00c0ff", "00c0ffee00c0ffeeg", 7, null, undefined]) {
    assert.throws(() => parsePointer(text), named("pointer"));
    assert.throws(() => parseOwner(text), named("owner"));
  }
  for (const value of [1, -1n, 2n ** 64n, "1"]) assert.throws(() => formatPointer(value), named("pointer"));
});
