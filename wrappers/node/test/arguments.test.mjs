// Every argument is checked, and the TypeError names it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, formatOwner, formatPointer, parseOwner, parsePointer } from "netswap";
import { pretend } from "./support.mjs";

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

test("arguments of calls", async () => {
  const data = Buffer.from("x");
  const bad = [
    ["pointer", (c) => c.resolve()], ["pointer", (c) => c.resolve(7)], ["pointer", (c) => c.resolve("00c0ffee00c0ffee")],
    ["pointer", (c) => c.resolve(-1n)], ["pointer", (c) => c.resolve(2n ** 64n)], ["pointer", (c) => c.resolveWait(null)],
    ["data", (c) => c.create("text")], ["data", (c) => c.create()], ["data", (c) => c.create(new ArrayBuffer(1))],
    ["data", (c) => c.create([1])], ["access", (c) => c.create(data, "x")], ["access", (c) => c.create(data, "tr")],
    ["access", (c) => c.create(data, 1)], ["access", (c) => c.reserve("")], ["data", (c) => c.replace(1n)],
    ["offset", (c) => c.readRange(1n, -1, 1)], ["offset", (c) => c.readRange(1n, 1.5, 1)], ["length", (c) => c.readRange(1n, 0)],
    ["length", (c) => c.readRange(1n, 0, 2 ** 32)], ["offset", (c) => c.writeRange(1n, 1n, data)],
    ["data", (c) => c.writeRange(1n, 0, {})], ["data", (c) => c.append(1n)], ["version", (c) => c.compareAndReplace(1n, 1, data)],
    ["version", (c) => c.resolveIfChanged(1n, "1")], ["delta", (c) => c.fetchAdd(1n, 0, 1)],
    ["delta", (c) => c.fetchAdd(1n, 0, 2n ** 63n)], ["change", (c) => c.update(1n)], ["access", (c) => c.setPermissions(1n)],
    ["lifetime", (c) => c.setLifetime(1n)], ["lifetime.ttl", (c) => c.setLifetime(1n, { ttl: 0 })],
    ["lifetime.grace", (c) => c.setLifetime(1n, { grace: 0xffff_ffff })], ["lifetime.heir", (c) => c.setLifetime(1n, { heir: 1 })],
    ["owner", (c) => c.transfer(1n)], ["pointer", (c) => c.stat({})], ["pointer", (c) => c.delete(Symbol("x"))],
    ["pointer", (c) => c.takeover([])], ["pointer", (c) => c.requestOwnership(() => {})], ["data", (c) => c.ping("x")],
    ["options", (c) => c.identify(7)], ["options", (c) => c.list(null)], ["timeout", (c) => c.identify({ timeout: 0 })],
    ["timeout", (c) => c.resolveWait(1n, { timeout: -1 })], ["signal", (c) => c.identify({ signal: {} })],
    ["pointer", (c) => c.watch(1)], ["push", (c) => c.watch(1n, { push: 1 })], ["pointer", (c) => c.mirror()],
    ["source", (c) => c.createFrom("text", 1)], ["source", (c) => c.createFrom(data, 1)], ["source", (c) => c.createFrom(undefined, 1)],
    ["length", (c) => c.createFrom([data])], ["access", (c) => c.createFrom([data], 1, "q")],
    ["progress", (c) => c.createFrom([data], 1, "r", { progress: 1 })], ["pointer", (c) => c.replaceFrom(1, [data], 1)],
    ["source", (c) => c.createFrom(["text"], 4)], ["sink", (c) => c.resolveInto(1n)], ["end", (c) => c.resolveInto(1n, process.stdout, { end: 1 })],
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
