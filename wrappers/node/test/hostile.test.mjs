// Servers that do what no server should: nothing leaks, hangs, or is thrown where nobody can catch it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { getEventListeners } from "node:events";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connect, NetSwapError } from "netswap";
import { packet, pretend, until } from "./support.mjs";

const astray = [];
process.on("unhandledRejection", (error) => astray.push(error));
process.on("uncaughtException", (error) => astray.push(error));
after(() => assert.deepEqual(astray, []));

const FAST = { reconnectDelays: [5, 20], requestTimeout: 300, connectTimeout: 300 };

test("greetings that are none", async () => {
  const wrong = [
    (s) => s.end(), (s) => s.destroy(), (s) => s.resetAndDestroy(), () => {}, (s) => s.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    (s) => s.write(randomBytes(100_000)), (s) => s.write(packet(0, 8, 7, Buffer.alloc(8))), (s) => s.write(packet(1, 4, 1)),
    (s) => s.write(packet(1, 0, 0, Buffer.alloc(20))), (s) => s.write(packet(1, 255, 0)), (s) => s.write(packet(1, 0, 0, Buffer.alloc(5), 20)),
  ];
  for (const greet of wrong) {
    const server = await pretend(greet, false);
    await assert.rejects(connect({ address: server.address, ...FAST }), (error) => error instanceof NetSwapError && error.outcome === "not-done");
    await until(() => server.sockets.size === 0);
    server.close();
  }
  await assert.rejects(connect({ address: "127.0.0.1:1", ...FAST }), { kind: "connect", retryable: true });
  await assert.rejects(connect({ address: "host.invalid:7420", ...FAST }), { kind: "connect" });
  const silent = await pretend(() => {}, false);
  const signal = AbortSignal.timeout(20);
  await assert.rejects(connect({ address: silent.address, signal }), { name: "AbortError" });
  await until(() => silent.sockets.size === 0);
  silent.close();
});

test("noise instead of answers: every call and watch ends, and the next connection has a chance", async () => {
  let connections = 0;
  const server = await pretend((socket) => {
    connections += 1;
    socket.on("data", () => socket.write(randomBytes(1 + Math.floor(Math.random() * 5000))));
  });
  const client = await connect({ address: server.address, ...FAST });
  const kinds = new Set();
  for (let round = 0; round < 100; round += 1) {
    const calls = [
      client.resolve(1n), client.create(Buffer.alloc(3000)), client.append(1n, Buffer.alloc(10)), client.watch(1n),
      client.createFrom([Buffer.alloc(200_000)], 200_000), client.mirror(1n), client.list(),
    ];
    for (const { status, reason } of await Promise.allSettled(calls)) {
      assert.equal(status, "rejected");
      kinds.add(reason.kind);
    }
  }
  assert.ok([...kinds].every((kind) => ["protocol", "connection-lost", "timed-out", "refused", "aborted"].includes(kind)), [...kinds]);
  assert.ok(connections > 50);
  await client.close();
  await until(() => server.sockets.size === 0);
  server.close();
});

test("a server that never answers: calls time out, and close does not hang", async () => {
  const server = await pretend((socket) => socket.on("data", () => {}));
  const client = await connect({ address: server.address, ...FAST });
  const started = performance.now();
  await assert.rejects(client.stat(1n), { kind: "timed-out", outcome: "not-done", retryable: true });
  await assert.rejects(client.delete(1n, { timeout: 50 }), { kind: "timed-out", outcome: "unknown", retryable: false });
  assert.ok(performance.now() - started < 2000);
  const waiting = client.resolveWait(1n);
  waiting.catch(() => {});
  await client.close();
  await assert.rejects(waiting, { kind: "closed" });
  server.close();
});

test("lengths that are only told cost no memory", async () => {
  const server = await pretend((socket) => socket.on("data", (data) => {
    for (let at = 0; at + 10 <= data.length; at += 18) socket.write(packet(data.readUInt32BE(at), 3, 0, Buffer.alloc(1390), 0xffff_fff0));
  }));
  const client = await connect({ address: server.address, ...FAST, reconnect: false, requestTimeout: 10_000, maxReply: 0xffff_ffff });
  const before = process.memoryUsage().rss;
  const calls = Array.from({ length: 200 }, () => client.resolve(1n));
  for (const call of calls) call.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  client.destroy();
  for (const call of calls) await assert.rejects(call, { kind: "closed" });
  server.close();
});

test("connections that come and go leave nothing behind", async () => {
  const server = await pretend((socket) => setTimeout(() => socket.destroy(), 2));
  const client = await connect({ address: server.address, reconnectDelays: [1, 1] });
  let lost = 0;
  client.on("disconnected", () => (lost += 1));
  await until(() => lost > 50, 20_000);
  client.destroy();
  server.close();
  await until(() => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length === 0);
});

test("a server that is hostile for long takes no memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  // To every request something else, most of it begun and never ended, and now and then the end of the connection.
  let count = 0;
  const server = await pretend((socket) => socket.on("data", (data) => {
    for (let at = 0; at + 10 <= data.length && socket.writable; at += 10 + Math.min(data.readUInt32BE(at + 4), 1390)) {
      count += 1;
      const xid = data.readUInt32BE(at);
      const payload = Buffer.alloc(1390, 1);
      if (count % 50 === 0) socket.destroy();
      else if (count % 7 === 0) socket.write(packet(xid, 3, 0, payload, 100_000));
      else if (count % 5 === 0) socket.write(packet(xid, 0, 0, Buffer.alloc(8, 1)));
      else if (count % 3 === 0) socket.write(packet(xid, 255, 0));
      else if (count % 2 === 0) socket.write(packet(xid, 1, 0));
      else if (count % 11 === 0) socket.write(packet(xid, 9, 0, Buffer.alloc(8)));
    }
  }));
  const client = await connect({ address: server.address, reconnectDelays: [1, 2], requestTimeout: 20, maxRequests: 100 });
  const { signal } = new AbortController();
  const held = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) {
      await Promise.allSettled([
        client.resolve(1n, { signal }), client.create(Buffer.alloc(2000)), client.watch(1n, { push: true, signal }).then((watch) => watch.close()),
        client.createFrom([Buffer.alloc(20_000)], 20_000, "r", { signal }), client.mirror(1n, { signal: AbortSignal.timeout(10) }),
        client.update(1n, (data) => data, { signal: AbortSignal.timeout(10) }), client.resolveStream(1n, { signal }).toArray(),
        client.resolveWait(1n, { timeout: 5 }), client.list({ signal: AbortSignal.timeout(3) }),
      ]);
    }
    // A collection or two after the last timers and finalizers.
    for (let turn = 0; turn < 5; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      collect();
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = await held(50);
  const after = await held(300);
  assert.ok(after - before < 1024 * 1024, `${after - before} bytes more after 300 rounds`);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  assert.ok(count > 2000, `${count}`);
  client.destroy();
  server.close();
});

test("signals that are used again and again gather no listeners", async () => {
  const server = await pretend((socket) => socket.on("data", (data) => {
    for (let at = 0; at + 10 <= data.length; at += 10) socket.write(packet(data.readUInt32BE(at), 0, 0));
  }));
  const client = await connect({ address: server.address, ...FAST });
  const { signal } = new AbortController();
  let warned = 0;
  process.on("warning", () => (warned += 1));
  for (let round = 0; round < 100; round += 1) await client.list({ signal });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(warned, 0);
  await client.close();
  server.close();
});

test("a client that nobody listens to fails in its promises alone", async () => {
  const server = await pretend((socket) => socket.on("data", () => socket.destroy()));
  const client = await connect({ address: server.address, ...FAST });
  await assert.rejects(client.delete(1n), { kind: "connection-lost", outcome: "unknown", retryable: false });
  await assert.rejects(client.stat(1n), { kind: "connection-lost", outcome: "not-done", retryable: true });
  client.destroy();
  server.close();
});
