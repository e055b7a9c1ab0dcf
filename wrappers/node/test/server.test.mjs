// Against the real server, on each of its runtimes.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable, Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { AbortError, connect, NetSwapError } from "netswap";
import { serve, until } from "./support.mjs";

for (const runtime of ["tokio", "smol", "blocking"]) {
  describe(`a server on ${runtime}`, () => {
    let server;
    let client;
    let other;
    before(async () => {
      server = await serve("--runtime", runtime, "--max-record", "64MiB");
      client = await connect(`netswap://${server.address}`);
      other = await connect({ address: server.address, bind: "127.0.0.2" });
    });
    after(async () => {
      await Promise.all([client.close(), other.close()]);
      await server.stop();
    });

    test("records: made, read, changed in part, deleted", async () => {
      const pointer = await client.create(Buffer.from("hello"), "r");
      assert.deepEqual(await other.resolve(pointer), Buffer.from("hello"));
      assert.equal(await client.writeRange(pointer, 0, Buffer.from("H")), 2n);
      assert.deepEqual(await client.append(pointer, Buffer.from("!")), { version: 3n, offset: 5 });
      const range = await other.readRange(pointer, 4, 100);
      assert.deepEqual(range, { version: 3n, length: 6, data: Buffer.from("o!") });
      assert.equal(await other.resolveIfChanged(pointer, 3n), undefined);
      assert.deepEqual(await other.resolveIfChanged(pointer), { version: 3n, data: Buffer.from("Hello!") });
      await assert.rejects(other.replace(pointer, Buffer.from("mine")), (error) =>
        error instanceof NetSwapError && error.kind === "refused" && error.code === "ACCESS_VIOLATION"
        && error.outcome === "not-done" && !error.retryable
        && error.message === "the record's owner does not allow this to others");
      await assert.rejects(client.compareAndReplace(pointer, 1n, Buffer.from("late")), { code: "VERSION_MISMATCH", version: 3n });
      const me = await client.identify();
      const stat = await other.stat(pointer);
      assert.deepEqual(stat, { length: 6, version: 3n, owner: me.owner, access: "r", state: "live", expires: undefined });
      assert.ok((await client.list()).includes(pointer));
      await client.delete(pointer);
      await assert.rejects(other.resolve(pointer), { code: "ADDRESS_FAULT" });
    });

    test("rights, owners, lifetimes", async () => {
      const pointer = await client.reserve();
      await client.setPermissions(pointer, "rwt");
      await client.setLifetime(pointer, { grace: 10, ttl: 60 });
      assert.equal((await client.stat(pointer)).expires, 60);
      const watch = await client.watch(pointer);
      await other.requestOwnership(pointer);
      const { owner } = await other.identify();
      assert.deepEqual((await watch.next()).value, { change: "requested", owner });
      await client.transfer(pointer, owner);
      assert.deepEqual((await watch.next()).value, { change: "owner", owner });
      await other.setPermissions(pointer, "t");
      await client.takeover(pointer);
      await client.delete(pointer);
    });

    test("updates by many at once lose nothing, and counters count", async () => {
      const pointer = await client.create(Buffer.alloc(8), "rw");
      await Promise.all([client, other].flatMap((one) => Array.from({ length: 20 }, () =>
        one.update(pointer, (data) => Buffer.concat([data, Buffer.from("x")])))));
      assert.equal((await client.stat(pointer)).length, 48);
      const sums = await Promise.all(Array.from({ length: 100 }, () => other.fetchAdd(pointer, 0, -1n)));
      assert.deepEqual(new Set(sums.map(({ value }) => value)).size, 100);
      await assert.rejects(client.update(pointer, () => { throw new RangeError("mine"); }), RangeError);
      await client.delete(pointer);
    });

    test("a thousand calls at once, beside ten megabytes in both directions", async () => {
      const data = randomBytes(10_000_000);
      const upload = client.create(data, "r");
      const pings = Array.from({ length: 1000 }, (_, index) => other.ping(Buffer.from(String(index))));
      const pointer = await upload;
      await Promise.all(pings);
      const [one, two] = await Promise.all([client.resolve(pointer), other.resolve(pointer), client.ping()]);
      assert.ok(one.equals(data) && two.equals(data));
      await client.delete(pointer);
    });

    test("streams of all sorts, up and down, with progress", async () => {
      const data = randomBytes(3_000_001);
      const pieces = () => Array.from({ length: 31 }, (_, at) => data.subarray(at * 100_000, (at + 1) * 100_000));
      const web = () => new ReadableStream({ start(c) { for (const p of pieces()) if (p.length > 0) c.enqueue(new Uint8Array(p)); c.close(); } });
      async function* generated() { yield* pieces(); }
      for (const source of [Readable.from(pieces()), web(), generated(), pieces()]) {
        const told = [];
        const progress = (done, total) => told.push([done, total]);
        const pointer = await client.createFrom(source, data.length, "r", { progress });
        assert.deepEqual(told.at(-1), [data.length, data.length]);
        assert.ok(told.every(([done], at) => at === 0 || done >= told[at - 1][0]));
        const got = [];
        const down = [];
        const sink = new Writable({ write: (chunk, _, next) => setImmediate(next, void got.push(chunk)) });
        assert.equal(await other.resolveInto(pointer, sink, { progress: (...p) => down.push(p) }), data.length);
        assert.ok(Buffer.concat(got).equals(data));
        assert.deepEqual(down.at(-1), [data.length, data.length]);
        const read = [];
        for await (const chunk of other.resolveStream(pointer)) read.push(chunk);
        assert.ok(Buffer.concat(read).equals(data));
        assert.equal(await client.replaceFrom(pointer, [Buffer.from("abc")], 2), 2n);
        assert.equal(await client.writeRangeFrom(pointer, 2, [Buffer.from("c")], 1), 3n);
        assert.deepEqual(await client.appendFrom(pointer, [Buffer.from("d")], 1), { version: 4n, offset: 3 });
        assert.equal(await client.compareAndReplaceFrom(pointer, 4n, [Buffer.from("e")], 1), 5n);
        const to = new TransformStream();
        const text = new Response(to.readable).text();
        assert.equal(await client.resolveInto(pointer, to.writable), 1);
        assert.equal(await text, "e");
        await client.delete(pointer);
      }
    });

    test("streams that fail, end early, or are given up change nothing", async () => {
      const pointer = await client.create(Buffer.from("old"));
      const failing = new Readable({ read() { this.destroy(new Error("no disk")); } });
      await assert.rejects(client.replaceFrom(pointer, failing, 10), { kind: "io", outcome: "not-done" });
      await assert.rejects(client.replaceFrom(pointer, [Buffer.alloc(9)], 10), { kind: "io" });
      const giving = new AbortController();
      const endless = new Readable({ read() { this.push(Buffer.alloc(65_536)); } });
      const up = client.replaceFrom(pointer, endless, 60_000_000, {
        signal: giving.signal, progress: (done) => done > 1_000_000 && giving.abort(),
      });
      await assert.rejects(up, AbortError);
      await until(() => endless.destroyed);
      assert.deepEqual(await client.resolve(pointer), Buffer.from("old"));
      await client.replace(pointer, Buffer.alloc(20_000_000));
      const down = client.resolveStream(pointer);
      for await (const chunk of down) if (chunk.length > 0) break;
      assert.ok(down.destroyed);
      const full = new Writable({ write: (_, __, next) => next(new Error("disk full")) });
      await assert.rejects(client.resolveInto(pointer, full), { kind: "io", message: /disk full/ });
      await client.delete(pointer);
    });

    test("a read waits for a reserved record, as long as it is told", async () => {
      const pointer = await client.reserve("r");
      await assert.rejects(other.resolveWait(pointer, { timeout: 50 }), { kind: "timed-out", retryable: true });
      const waits = other.resolveWait(pointer);
      await client.replace(pointer, Buffer.from("map"));
      assert.deepEqual(await waits, Buffer.from("map"));
      const signal = AbortSignal.timeout(20);
      const never = await client.reserve();
      await assert.rejects(client.resolveWait(never, { signal }), { name: "AbortError", outcome: "not-done" });
      await client.ping();
    });

    test("watches: changes, folding for the slow, for await, and the end", async () => {
      const pointer = await client.create(Buffer.from("state"), "r");
      const seen = [];
      const reading = (async () => {
        for await (const change of other.watch(pointer, { push: true })) seen.push(change);
      })();
      await until(() => seen.length === 1);
      await client.append(pointer, Buffer.from("!"));
      await until(() => seen.length === 2);
      await client.delete(pointer);
      await reading;
      assert.deepEqual(seen, [
        { change: "changed", version: 1n, data: Buffer.from("state") },
        { change: "range", version: 2n, offset: 5, data: Buffer.from("!") }, { change: "deleted" },
      ]);

      const busy = await client.create(Buffer.alloc(1000), "r");
      const slow = await other.watch(busy, { push: true });
      for (let round = 0; round < 600; round += 1) await client.writeRange(busy, round, Buffer.from([round]));
      const expected = await client.resolve(busy);
      let copy;
      for (let taken = 0; ; taken += 1) {
        const { value } = await slow.next();
        if (value.change === "changed") copy = Buffer.from(value.data);
        else if (value.change === "range") value.data.copy(copy, value.offset);
        if (value.version === 601n) break;
        assert.ok(taken < 400);
      }
      assert.ok(copy.equals(expected));
    });

    test("a mirror is the record, whatever happened", async () => {
      const pointer = await client.create(Buffer.from("one"), "r");
      const mirror = await other.mirror(pointer);
      assert.deepEqual([mirror.data.toString(), mirror.version, mirror.isLive], ["one", 1n, true]);
      const before = mirror.snapshot();
      await client.writeRange(pointer, 1, Buffer.from("NE and more"));
      assert.equal(await mirror.changed(), 2n);
      assert.deepEqual([mirror.data.toString(), before.toString()], ["oNE and more", "one"]);
      await client.writeRange(pointer, 20, Buffer.from("x"));
      await client.replace(pointer, Buffer.from("other"));
      while (mirror.version < 4n) await mirror.changed();
      assert.equal(mirror.data.toString(), "other");
      await client.delete(pointer);
      await assert.rejects(mirror.changed(), { kind: "ended", message: "the record was deleted" });
      assert.equal(mirror.isLive, false);
    });
  });
}

test("a server that is started again: calls fail once, watches go on", async () => {
  const first = await serve();
  const client = await connect({ address: first.address, reconnectDelays: [10, 100] });
  const events = client.events();
  const pointer = await client.create(Buffer.from("x"), "r");
  const watch = await client.watch(pointer);
  const waits = client.resolveWait(await client.reserve());
  waits.catch(() => {});
  await first.stop();
  await assert.rejects(waits, (error) => error.retryable && ["aborted", "connection-lost"].includes(error.kind));
  assert.deepEqual((await watch.next()).value, { change: "interrupted" });
  assert.equal((await events.next()).value.event, "disconnected");
  const call = client.ping();
  const again = await serve("--listen", first.address);
  await call;
  // The record was in the memory of the other.
  await assert.rejects(watch.next(), { code: "ADDRESS_FAULT" });
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
  const told = [];
  await client.close();
  for await (const { event } of events) told.push(event);
  assert.deepEqual([told[0], ...told.slice(-2)], ["reconnecting", "connected", "closed"]);
  assert.ok(client.isClosed);
  await assert.rejects(client.ping(), { kind: "closed", retryable: false });
  await again.stop();
});

test("without reconnecting, and without waiting", async () => {
  const server = await serve();
  const once = await connect({ address: server.address, reconnect: false });
  const hasty = await connect({ address: server.address, waitForConnection: false, reconnectDelays: [10_000] });
  await server.kill();
  await until(() => once.isClosed);
  await assert.rejects(once.ping(), { kind: "closed" });
  await assert.rejects(hasty.ping(), { kind: "connect", retryable: true });
  hasty.destroy();
});

test("a client that is let go at the end of its block", async () => {
  const server = await serve();
  // What `await using` and `using` do, for which this Node has no syntax yet: test/package.test.mjs has it in TypeScript.
  const one = await connect(server.address);
  await one[Symbol.asyncDispose]();
  const other = await connect(server.address);
  other[Symbol.dispose]();
  assert.ok(one.isClosed && other.isClosed);
  await server.stop();
});
