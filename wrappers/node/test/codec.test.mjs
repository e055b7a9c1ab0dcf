// The codec, byte for byte: every request and every reply of the conformance suite's transcripts is read, made again, and
// compared with what the file has.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { bytes, cases } from "./support.mjs";

const require = createRequire(import.meta.url);
const { PacketReader, MAX_PAYLOAD } = require("../dist/wire/packet.js");
const { Lane } = require("../dist/wire/lane.js");
const { Output } = require("../dist/wire/output.js");
const requests = require("../dist/wire/request.js");
const { allows, readReply, replyLengths } = require("../dist/wire/reply.js");
const { notificationLengths, readNotification } = require("../dist/wire/notification.js");
const { accessBits } = require("../dist/wire/values.js");

/** The packets of a stream: each with its bytes. */
function packets(stream) {
  const reader = new PacketReader();
  const found = [];
  let payload = [];
  for (let at = 0; reader.next(stream, at); at = reader.end) {
    payload.push(stream.subarray(reader.start, reader.end));
    if (!reader.closes) continue;
    const { xid, remaining, code, access } = reader;
    found.push({ xid, remaining, code, access, payload: Buffer.concat(payload) });
    payload = [];
  }
  return found;
}

/** The complete messages among packets; those that break the rules are left out. */
function messages(all) {
  const open = new Map();
  const found = [];
  for (const packet of all) {
    const { xid, remaining, code, access } = packet;
    let message = open.get(xid);
    if (message === undefined || code === 255) {
      message = { xid, code, access, length: remaining, parts: [], left: remaining };
      open.set(xid, message);
    }
    if (message.left !== remaining || message.code !== code || message.access !== access) {
      open.delete(xid);
      continue;
    }
    message.parts.push(packet.payload);
    message.left -= packet.payload.length;
    if (remaining > MAX_PAYLOAD) continue;
    open.delete(xid);
    found.push({ ...message, payload: Buffer.concat(message.parts) });
  }
  return found;
}

/** A message as bytes, by the rules of docs/PROTOCOL.md §2.2, written here once more. */
function encoded({ xid, code, access, payload }) {
  const parts = [];
  let left = payload.length;
  do {
    const header = Buffer.alloc(10);
    header.writeUInt32BE(xid, 0);
    header.writeUInt32BE(left, 4);
    header[8] = code;
    header[9] = access;
    parts.push(header, payload.subarray(payload.length - left, payload.length - left + Math.min(left, MAX_PAYLOAD)));
    left -= Math.min(left, MAX_PAYLOAD);
  } while (left > 0);
  return Buffer.concat(parts);
}

/** The request that a message is, made by the codec; `undefined` where no client would make it. */
function request({ code, access, payload: p }) {
  const operands = [0, 8, 8, 8, 8, 8, 16, 0, 0, 8, 16, 12, 8, 16, 20, 16, 8, 0, 0, 24, 8][code];
  const hasData = [0, 3, 8, 11, 12, 13].includes(code);
  if (operands === undefined || p.length < operands || (!hasData && p.length > operands)) return undefined;
  if (access > (code === 16 ? 1 : [0, 1, 18].includes(code) ? 7 : 0)) return undefined;
  const ptr = operands >= 8 ? p.readBigUInt64BE() : 0n;
  const data = p.subarray(operands);
  return [
    () => requests.createRecord(access, data), () => requests.updateRecordPermissions(ptr, access),
    () => requests.resolvePointer(ptr), () => requests.replaceRecord(ptr, data), () => requests.deleteRecord(ptr),
    () => requests.takeoverRecord(ptr), () => requests.transferRecord(ptr, p.readBigUInt64BE(8)), requests.identify,
    () => requests.ping(data), () => requests.statRecord(ptr),
    () => requests.readRange(ptr, p.readUInt32BE(8), p.readUInt32BE(12)),
    () => requests.writeRange(ptr, p.readUInt32BE(8), data), () => requests.append(ptr, data),
    () => requests.compareAndReplace(ptr, p.readBigUInt64BE(8), data),
    () => requests.fetchAdd(ptr, p.readUInt32BE(8), p.readBigInt64BE(12)),
    () => requests.resolveIfChanged(ptr, p.readBigUInt64BE(8)), () => requests.watchRecord(ptr, access === 1),
    requests.listRecords, () => requests.reserveRecord(access),
    () => requests.setLifetime(ptr, p.readUInt32BE(8), p.readUInt32BE(12), p.readBigUInt64BE(16)),
    () => requests.requestOwnership(ptr),
  ][code]();
}

const u = (bits, value) => {
  const buffer = Buffer.alloc(bits / 8);
  if (bits === 64) buffer.writeBigUInt64BE(BigInt.asUintN(64, value));
  else if (bits === 32) buffer.writeUInt32BE(value);
  else if (bits === 16) buffer.writeUInt16BE(value);
  else buffer[0] = value;
  return buffer;
};

/** The payload of a reply, from what the codec has made of it. */
function payloadOf(reply) {
  switch (reply.kind) {
    case "done": case "unchanged": return Buffer.alloc(0);
    case "pointer": return u(64, reply.pointer);
    case "written": return u(64, reply.version);
    case "data": return reply.data;
    case "changed": return Buffer.concat([u(64, reply.version), reply.data]);
    case "range": return Buffer.concat([u(64, reply.version), u(32, reply.length), reply.data]);
    case "appended": return Buffer.concat([u(64, reply.version), u(32, reply.offset)]);
    case "added": return Buffer.concat([u(64, reply.version), u(64, reply.value)]);
    case "pointers": return Buffer.concat(reply.pointers.map((pointer) => u(64, pointer)));
    case "identity": {
      const { owner, protocol, packet, record, grace } = reply.identity;
      return Buffer.concat([u(64, owner), u(16, protocol), u(16, packet), u(32, record), u(32, grace)]);
    }
    case "stat": {
      const { length, version, owner, access, state, expires } = reply.stat;
      const bits = u(8, accessBits(access));
      return Buffer.concat([
        u(32, length), u(64, version), u(64, owner), bits, u(8, state === "live" ? 0 : 1), u(32, expires ?? 0xffffffff),
      ]);
    }
    case "refused": {
      const { code, limit, version } = reply.refusal;
      if (code === "RECORD_TOO_LARGE") return u(32, Number(limit));
      return limit === undefined && version === undefined ? Buffer.alloc(0) : u(64, limit ?? version);
    }
  }
}

function payloadOfNotification(told) {
  switch (told.change) {
    case "changed": return Buffer.concat([u(64, told.version), told.data ?? Buffer.alloc(0)]);
    case "range": return Buffer.concat([u(64, told.version), u(32, told.offset), told.data]);
    case "access": return u(8, accessBits(told.access));
    case "owner": case "requested": return u(64, told.owner);
    default: return Buffer.alloc(0);
  }
}

/** What each connection of a case sends and receives, as streams. */
function streams({ steps }) {
  const names = new Map();
  const found = new Map();
  for (const step of steps) {
    const match = /^([A-Z])(>|<\*?) (.*)$/.exec(step);
    if (match === null) continue;
    const [, name, way, text] = match;
    const key = `${name}${way[0]}`;
    found.set(key, Buffer.concat([found.get(key) ?? Buffer.alloc(0), bytes(text, names)]));
  }
  return found;
}

test("the requests of all transcripts are made as the files have them", () => {
  let made = 0;
  const opcodes = new Set();
  for (const one of cases()) {
    for (const [key, stream] of streams(one)) {
      if (!key.endsWith(">")) continue;
      for (const message of messages(packets(stream))) {
        const again = request(message);
        if (again === undefined) continue;
        const output = new Output();
        output.push(new Lane(message.xid, again));
        const into = Buffer.alloc(message.payload.length + (Math.ceil(message.payload.length / MAX_PAYLOAD) + 1) * 10);
        const length = output.take(into, () => {});
        assert.ok(into.subarray(0, length).equals(encoded(message)), `${one.title}: opcode ${message.code}`);
        opcodes.add(message.code);
        made += 1;
      }
    }
  }
  assert.ok(made > 2000 && opcodes.size === 21, `${made} requests, ${opcodes.size} operations`);
});

test("the replies of all transcripts are read, and are the same again", () => {
  let read = 0;
  const codes = new Set();
  for (const one of cases()) {
    const all = streams(one);
    for (const [key, stream] of all) {
      if (!key.endsWith("<")) continue;
      const sent = messages(packets(all.get(`${key[0]}>`) ?? Buffer.alloc(0)));
      const asked = new Map(sent.filter(({ code }) => code !== 255).map((message) => [message.xid, message]));
      const used = new Map();
      for (const { xid } of sent) used.set(xid, (used.get(xid) ?? 0) + 1);
      for (const message of messages(packets(stream))) {
        const { code, access, payload } = message;
        if (code === 255 || code === 4) continue;
        let again;
        if (code === 11) {
          // The request of a watch may be one of several under its XID: what data it pushes is told by the length.
          const push = access === 2 || (access === 1 && asked.get(message.xid)?.access === 1);
          const plain = access === 1 && payload.length === 8 ? false : push;
          const lengths = notificationLengths(access, plain) ?? notificationLengths(access, true);
          assert.ok(allows(lengths, payload.length) || payload.length > 8, `${one.title}: notification ${access}`);
          again = payloadOfNotification(readNotification(access, payload, payload.length > 8 || plain));
        } else {
          const from = asked.get(message.xid);
          if (from === undefined || used.get(message.xid) > 1) continue;
          const lengths = replyLengths(from.code, code, access, from.payload.length);
          if (lengths === undefined && request(from) === undefined) continue;
          assert.ok(lengths !== undefined && allows(lengths, payload.length), `${one.title}: code ${code} to ${from.code}`);
          again = payloadOf(readReply(from.code, code, access, payload));
        }
        assert.ok(again.equals(payload), `${one.title}: code ${code}`);
        codes.add(code);
        read += 1;
      }
    }
  }
  assert.ok(read > 2000 && codes.size >= 10, `${read} replies, codes ${[...codes]}`);
});

test("packets are found however the stream is cut", () => {
  const stream = Buffer.concat([...streams(cases().find(({ title }) => title.startsWith("2.2-")))].map(([, all]) => all));
  const whole = packets(stream);
  for (const size of [1, 2, 3, 7, 11, 1000]) {
    const reader = new PacketReader();
    const found = [];
    let payload = [];
    for (let from = 0; from < stream.length; from += size) {
      const input = stream.subarray(from, from + size);
      for (let at = 0; reader.next(input, at); at = reader.end) {
        payload.push(input.subarray(reader.start, reader.end));
        if (!reader.closes) continue;
        const { xid, remaining, code, access } = reader;
        found.push({ xid, remaining, code, access, payload: Buffer.concat(payload) });
        payload = [];
      }
    }
    assert.deepEqual(found, whole);
  }
});
