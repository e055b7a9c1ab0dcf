// What the application does wrong fails the call that it does it to: nothing is thrown where nobody can catch it, and the
// connection and its other calls go on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Readable, Writable } from "node:stream";
import { runInNewContext } from "node:vm";
import { connect } from "netswap";
import { moved, pretend, serve } from "./support.mjs";

const astray = [];
process.on("unhandledRejection", (error) => astray.push(error));
process.on("uncaughtException", (error) => astray.push(error));

let server;
let client;
let pointer;
let lost = 0;
before(async () => {
  server = await serve();
  client = await connect(server.address);
  client.on("disconnected", () => (lost += 1));
  pointer = await client.create(Buffer.alloc(3_000_000, 1));
});
after(async () => {
  await client.close();
  await server.stop();
  assert.deepEqual(astray, []);
});

const mine = new Error("mine");
const fails = () => { throw mine; };
const sink = () => new Writable({ write: (_, __, done) => done() });

/** A call that fails so, while another one goes on. */
async function alone(call, expected) {
  const other = client.resolve(pointer);
  await assert.rejects(call, expected);
  assert.equal((await other).length, 3_000_000);
  assert.equal(lost, 0);
}

test("a progress function that throws", async () => {
  await alone(() => client.resolveInto(pointer, sink(), { progress: fails }), mine);
  await alone(() => client.createFrom([Buffer.alloc(500_000)], 500_000, "r", { progress: fails }), mine);
  await alone(async () => { for await (const _ of client.resolveStream(pointer, { progress: fails })); }, mine);
});

test("sources that are none of the kind", async () => {
  const sources = [
    { next: fails }, { next: () => undefined }, { next: () => 7 }, { next: () => ({ done: true }) }, { next: () => Promise.reject(mine) },
  ];
  for (const source of sources) await alone(() => client.createFrom({ [Symbol.asyncIterator]: () => source }, 10), { name: /NetSwapError|TypeError/ });
  const endless = { next: async () => ({ value: Buffer.alloc(1) }), return: fails };
  const signal = AbortSignal.timeout(20);
  await alone(() => client.createFrom({ [Symbol.asyncIterator]: () => endless }, 2 ** 27, "r", { signal }), { name: "AbortError" });
  assert.equal(typeof (await client.createFrom({ [Symbol.asyncIterator]: () => endless }, 10)), "bigint");
  const readable = new Readable({ read() { this.push(Buffer.alloc(10)); }, destroy: (_, done) => done(mine) });
  assert.equal(typeof (await client.createFrom(readable, 10)), "bigint");
});

test("memory that is given away before it was sent", async () => {
  const torn = (error) => error instanceof TypeError && error.message.startsWith("data must stay in their memory");
  for (const size of [1, 1000, 1390, 20_000_000]) {
    const data = new Uint8Array(size);
    await alone(() => { const call = client.create(data); moved(data); return call; }, torn);
  }
  const memory = new ArrayBuffer(1000, { maxByteLength: 2000 });
  await alone(() => { const call = client.append(pointer, new Uint8Array(memory)); memory.resize(10); return call; }, torn);
  // In the middle, and of one of several parts.
  const large = new Uint8Array(50_000_000);
  await alone(async () => {
    const call = client.create(large);
    setTimeout(moved, 2, large);
    await call;
  }, torn);
  const parts = [Buffer.alloc(100), new Uint8Array(5000), Buffer.alloc(100)];
  await alone(() => client.createFrom((function* () { yield* parts; moved(parts[1]); yield Buffer.alloc(1); })(), 5201), torn);
  assert.equal((await client.stat(pointer)).version, 1n);
});

test("memory that is written to while it is under way", async () => {
  const data = new Uint8Array(100_000);
  const call = client.ping(data);
  data.fill(1);
  await call;
  assert.equal(lost, 0);
});

test("data of another realm are data", async () => {
  const data = runInNewContext("new Uint8Array([1, 2, 3])");
  assert.deepEqual(await client.resolve(await client.create(data)), Buffer.from([1, 2, 3]));
  assert.deepEqual(await client.resolve(await client.createFrom([data], 3)), Buffer.from([1, 2, 3]));
});

test("a client that is let go keeps no process alive, connected or not", async () => {
  const silent = await pretend(() => {});
  const other = await connect({ address: silent.address, reconnectDelays: [1, 1] });
  other.unref();
  other.ref();
  other.unref();
  const held = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap" || name === "Timeout").length;
  const before = held();
  silent.close();
  await new Promise((resolve) => setTimeout(resolve, 100));
  // What is active now is what the test runner and the other client have.
  assert.ok(held() <= before);
  other.destroy();
});
