// The state machine of a connection: bytes in, bytes and events out, with a clock of the test's own.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";
import { packet } from "./support.mjs";

const require = createRequire(import.meta.url);
const { Connection } = require("../dist/connection/connection.js");
const requests = require("../dist/wire/request.js");

const OPTIONS = { idleTimeout: 1000 };
const connection = (config = {}) => new Connection({ maxReply: 2 ** 30, maxRequests: 10, idleTimeout: 1000, ...config });
const ask = (machine, owner, request, now = 0, options = OPTIONS) => machine.request(owner, request, options, now);
const take = (machine, now = 0, room = 65_536) => {
  const into = Buffer.alloc(room);
  return into.subarray(0, machine.take(into, now));
};
const events = (machine) => machine.events.splice(0);
const abort = (xid) => packet(xid, 255, 0);

test("requests leave in turn, and replies find their callers in whatever order", () => {
  const machine = connection();
  ask(machine, "large", requests.createRecord(0, Buffer.alloc(2000, 1)));
  ask(machine, "small", requests.ping(Buffer.from("hi")));
  const out = take(machine);
  assert.deepEqual(out.subarray(0, 10), packet(1, 0, 0, Buffer.alloc(0), 2000));
  assert.deepEqual(out.subarray(1400, 1412), packet(2, 8, 0, Buffer.from("hi")));
  assert.deepEqual(out.subarray(1412), packet(1, 0, 0, Buffer.alloc(610, 1)));
  assert.equal(machine.wantsWrite, false);
  machine.handleInput(Buffer.concat([packet(2, 0, 0, Buffer.from("hi")), packet(1, 0, 0, Buffer.alloc(8, 9))]), 0);
  assert.deepEqual(events(machine).map(({ event, owner }) => [event, owner]), [["replied", "small"], ["replied", "large"]]);
  assert.equal(machine.open, 0);
});

test("input may come byte by byte", () => {
  const machine = connection();
  ask(machine, "read", requests.resolvePointer(7n));
  take(machine);
  const input = Buffer.concat([
    packet(1, 3, 0, Buffer.alloc(1390, 1), 2781), packet(1, 3, 0, Buffer.alloc(1390, 2), 1391), packet(1, 3, 0, Buffer.alloc(1, 3)),
  ]);
  for (const byte of input) assert.equal(machine.handleInput(Buffer.from([byte]), 0), undefined);
  const [{ reply }] = events(machine);
  assert.deepEqual(reply.data, Buffer.concat([Buffer.alloc(1390, 1), Buffer.alloc(1390, 2), Buffer.alloc(1, 3)]));
});

test("ids that are open are passed when the count comes round", () => {
  const machine = connection({ firstXid: 0xffff_ffff });
  const xids = ["a", "b", "c"].map((owner) => ask(machine, owner, requests.identify()).xid);
  assert.deepEqual(xids, [0xffff_ffff, 0, 1]);
});

test("a request that is given up before it has left is never heard of", () => {
  const machine = connection();
  const transaction = ask(machine, "a", requests.deleteRecord(1n));
  assert.equal(machine.abort(transaction, 0), "not-done");
  assert.equal(take(machine).length, 0);
  assert.equal(machine.open, 0);
});

test("what is known of a request that is given up depends on what has left", () => {
  const machine = connection();
  const write = ask(machine, "a", requests.deleteRecord(1n));
  const read = ask(machine, "b", requests.statRecord(1n));
  const large = ask(machine, "c", requests.replaceRecord(1n, Buffer.alloc(5000)));
  take(machine, 0, 1500);
  assert.deepEqual([write, read, large].map((one) => machine.abort(one, 0)), ["unknown", "not-done", "not-done"]);
  assert.equal(machine.abort(write, 0), undefined);
  assert.deepEqual(take(machine), Buffer.concat([abort(1), abort(2), abort(3)]));
  // The ids stay reserved until the server is done with them; what comes for them is nobody's.
  assert.equal(machine.open, 3);
  machine.handleInput(Buffer.concat([packet(1, 0, 0), abort(2), abort(3)]), 0);
  assert.equal(machine.open, 0);
  assert.deepEqual(events(machine), []);
});

test("a refusal in the middle of an upload stops it with an ABORT", () => {
  const machine = connection();
  ask(machine, "a", requests.createRecord(0, Buffer.alloc(100_000)));
  take(machine, 0, 1400);
  machine.handleInput(packet(1, 1, 0), 0);
  assert.deepEqual(take(machine), abort(1));
  const [{ event, reply }] = events(machine);
  assert.deepEqual([event, reply.refusal.code], ["replied", "ACCESS_VIOLATION"]);
  assert.equal(machine.open, 0);
});

test("an upload asks for more when little is left of what it was given", () => {
  const machine = connection();
  const upload = ask(machine, "a", requests.createRecord(0, 400_000));
  assert.equal(machine.wanted(upload), 256 * 1024);
  machine.provide(upload, Buffer.alloc(256 * 1024));
  assert.equal(machine.wanted(upload), 0);
  while (events(machine).length === 0) assert.ok(take(machine).length > 0);
  machine.provide(upload, Buffer.alloc(400_000));
  while (machine.wantsWrite) take(machine);
  assert.equal(machine.sent(upload), 400_000);
});

test("a transaction times out, its ABORT is unanswered, and the connection is dead", () => {
  const machine = connection();
  ask(machine, "a", requests.statRecord(1n));
  take(machine, 10);
  assert.equal(machine.handleTimeout(machine.timeout), undefined);
  assert.equal(machine.handleTimeout(1010), undefined);
  const [{ event, failure, outcome }] = events(machine);
  assert.deepEqual([event, failure.kind, outcome], ["ended", "timed-out", "not-done"]);
  assert.deepEqual(take(machine, 1010), abort(1));
  assert.equal(machine.handleTimeout(2009), undefined);
  assert.deepEqual(machine.handleTimeout(2010), { kind: "dead" });
  assert.equal(machine.timeout, Infinity);
});

test("a server that says what it must not is found out, and every caller is told", () => {
  const wrong = [
    packet(9, 0, 0), packet(1, 0, 0, Buffer.alloc(7)), packet(1, 3, 0), packet(1, 0, 1, Buffer.alloc(8)), packet(1, 12, 0),
    packet(1, 255, 1), packet(1, 255, 0, Buffer.alloc(1)), packet(1, 10, 0), packet(1, 11, 1, Buffer.alloc(8)),
    packet(1, 5, 4), packet(1, 8, 9, Buffer.alloc(8)), packet(0, 8, 6, Buffer.alloc(8)), packet(1, 4, 6),
  ];
  for (const bytes of wrong) {
    const machine = connection();
    ask(machine, "a", requests.deleteRecord(1n));
    ask(machine, "b", requests.createRecord(0, Buffer.from("x")));
    take(machine);
    // As an answer to the second request, of which the id is 2.
    const bad = bytes[3] === 1 ? Buffer.concat([packet(1, 0, 0), Buffer.concat([Buffer.from([0, 0, 0, 2]), bytes.subarray(4)])]) : bytes;
    assert.equal(machine.handleInput(bad, 0)?.kind, "violation", bytes.toString("hex"));
    assert.deepEqual(machine.handleInput(Buffer.alloc(3), 0)?.kind, "violation");
    assert.equal(events(machine).filter(({ event }) => event === "ended").length, bad === bytes ? 2 : 1);
    assert.equal(ask(machine, "c", requests.identify()), "ended");
  }
});

test("whatever bytes come, nothing is thrown, and memory follows what has arrived", () => {
  let faults = 0;
  for (let round = 0; round < 3000; round += 1) {
    const machine = connection({ maxReply: 0xffff_ffff });
    ask(machine, "a", requests.resolvePointer(1n));
    ask(machine, "b", requests.watchRecord(1n, true));
    ask(machine, "c", requests.listRecords());
    take(machine);
    const input = randomBytes(64);
    if (round % 2 === 0) {
      // Mostly sensible headers, so that more than the first check is reached.
      input.writeUInt32BE(1 + (round % 3), 0);
      input.writeUInt32BE(round % 5 === 0 ? 0xffff_fff8 : 8, 4);
      input[8] = [0, 3, 11, 1, 255][round % 5];
      input[9] = round % 4 === 0 ? 0 : 1;
    }
    if (machine.handleInput(input, 0) !== undefined) faults += 1;
    machine.handleEnd();
    assert.equal(machine.open, 0);
  }
  assert.ok(faults > 2000);
});
