import { isFinal, readNotification, weight } from "../wire/notification.js";
import { ABORT, Code } from "../wire/opcode.js";
import type { PacketReader } from "../wire/packet.js";
import { details, readRefusal } from "../wire/refusal.js";
import { allows, dataIn, readReply } from "../wire/reply.js";
import type { Connection } from "./connection.js";
import type { Fault } from "./event.js";
import { Incoming } from "./incoming.js";
import { Sending, type Transaction } from "./transaction.js";

/** The id under which a server refuses a whole connection. */
const REFUSED = 0;

/**
 * What a client makes of the packets that the server sends: everything that can be judged is judged by the header, and
 * what no honest server sends is the end of the connection (docs/PROTOCOL.md §8.1). Takes the fragment that the
 * connection's reader has found last.
 */
export function takeFragment<T>(connection: Connection<T>, input: Uint8Array, now: number): Fault | undefined {
  const packet = connection.reader;
  if (packet.opens) {
    if (packet.code === ABORT) return takeAbort(connection, packet);
    if (packet.code === Code.MALFORMED_PACKET) return judgeMalformed(packet);
    const fault = takeHeader(connection, packet, now);
    if (fault !== undefined) return fault;
  }
  const ends = packet.closes && packet.isLast;
  if (connection.refusal !== undefined && packet.xid === REFUSED) {
    connection.refusal.take(input, packet.start, packet.end, false);
    return ends ? refusedConnection(connection.refusal) : undefined;
  }
  const transaction = connection.get(packet.xid);
  if (transaction === undefined) return undefined;
  transaction.moved = now;
  const reply = transaction.reply;
  if (!transaction.abandoned && reply !== undefined) {
    const pieces = transaction.pieces && reply.isRecord;
    reply.take(input, packet.start, packet.end, pieces);
    const data = pieces && !ends ? reply.piece() : undefined;
    if (data !== undefined) {
      connection.hold(transaction, data.length);
      connection.events.push({ event: "piece", owner: transaction.owner, data, total: reply.total });
    }
  }
  return ends ? complete(connection, transaction, now) : undefined;
}

/** Judges a packet by its header. */
function takeHeader<T>(connection: Connection<T>, packet: PacketReader, now: number): Fault | undefined {
  const transaction = connection.get(packet.xid);
  if (transaction === undefined) {
    if (!refusesConnection(packet)) return unknownTransaction(packet);
    connection.refusal = new Incoming(packet);
    return undefined;
  }
  if (transaction.reply !== undefined) {
    return transaction.reply.goesOnWith(packet) ? undefined : violation("a packet does not continue its message");
  }
  const lengths = transaction.lengths(packet);
  if (lengths === undefined || !allows(lengths, packet.remaining)) return badReply(packet);
  const reply = new Incoming(packet);
  transaction.reply = reply;
  connection.clock.watch(now + transaction.idleTimeout);
  if (packet.code === Code.OK || reply.isRecord) {
    if (transaction.sending !== Sending.Gone) return badReply(packet);
  } else if (!connection.cutOff(transaction, true)) {
    return unknownTransaction(packet);
  }
  const length = dataIn(lengths, packet.remaining);
  const limit = connection.config.maxReply;
  if (length > limit && !(transaction.pieces && reply.isRecord)) {
    connection.giveUp(transaction, { kind: "too-long", length, limit }, now);
  }
  return undefined;
}

/** Takes the server's ABORT: the transaction has ended without a result (docs/PROTOCOL.md §2.5). */
function takeAbort<T>(connection: Connection<T>, packet: PacketReader): Fault | undefined {
  if (packet.remaining > 0 || packet.access > 0) return violation("an ABORT has a payload or flags");
  const transaction = connection.get(packet.xid);
  if (transaction === undefined || !connection.cutOff(transaction, false)) return unknownTransaction(packet);
  connection.close(transaction);
  if (!transaction.abandoned) {
    const outcome = transaction.outcome(transaction.sending === Sending.Gone);
    connection.events.push({ event: "ended", owner: transaction.owner, failure: { kind: "aborted" }, outcome });
  }
  return undefined;
}

/** The last byte of a reply or notification is here. */
function complete<T>(connection: Connection<T>, transaction: Transaction<T>, now: number): Fault | undefined {
  const reply = transaction.reply;
  if (reply === undefined) return undefined;
  if (transaction.watching !== undefined && (reply.code === Code.OK || reply.code === Code.NOTIFY)) {
    transaction.reply = undefined;
    return completeOfWatch(connection, transaction, reply, now);
  }
  if (!transaction.abandoned) {
    const answer = readReply(transaction.opcode, reply.code, reply.access, reply.rest());
    if (answer === undefined || (answer.kind === "data" && !transaction.echoes(answer.data))) {
      return violation("a reply does not fit its request");
    }
    connection.events.push({ event: "replied", owner: transaction.owner, reply: answer });
  }
  connection.close(transaction);
  return undefined;
}

/** The last byte of a watch's OK or notification is here (docs/PROTOCOL.md §3.21, §4.3). */
function completeOfWatch<T>(
  connection: Connection<T>, transaction: Transaction<T>, reply: Incoming, now: number,
): Fault | undefined {
  const watching = transaction.watching;
  if (watching === undefined) return undefined;
  const { owner } = transaction;
  if (!watching.begun) {
    const payload = reply.rest();
    // Of a watch that was given up nothing was kept.
    const version = transaction.abandoned ? 0n : payload.readBigUInt64BE();
    watching.begin(version);
    connection.standing += 1;
    if (!transaction.abandoned) connection.events.push({ event: "watching", owner, version });
    return undefined;
  }
  if (transaction.abandoned) {
    if (isFinal(reply.access)) connection.close(transaction);
    return undefined;
  }
  const notification = readNotification(reply.access, reply.rest(), watching.push);
  if (notification === undefined || !watching.follows(notification)) {
    return violation("a notification does not fit its watch");
  }
  if (notification.change === "range") {
    // The record is at least so long by now, whatever part of it this is.
    const length = notification.offset + notification.data.length;
    const limit = connection.config.maxReply;
    if (length > limit) {
      connection.giveUp(transaction, { kind: "too-long", length, limit }, now);
      return undefined;
    }
  }
  connection.events.push({ event: "notified", owner, notification });
  if (isFinal(reply.access)) connection.close(transaction);
  else connection.hold(transaction, weight(notification));
  return undefined;
}

/** Whether this is the one reply to no request: the connection itself is over a limit (docs/PROTOCOL.md §4.2). */
function refusesConnection(packet: PacketReader): boolean {
  return packet.xid === REFUSED && packet.code === Code.QUOTA_EXCEEDED && packet.remaining === 8
    && (packet.access === 7 || packet.access === 8);
}

function refusedConnection(incoming: Incoming): Fault {
  const refusal = readRefusal(0, incoming.code, incoming.access, incoming.rest());
  return refusal === undefined ? violation("a reply belongs to no request") : { kind: "refused", refusal };
}

function judgeMalformed(packet: PacketReader): Fault {
  const known = packet.access >= 1 && packet.access <= details(packet.code) && packet.remaining === 0;
  const refusal = known ? readRefusal(0, packet.code, packet.access, new Uint8Array(0)) : undefined;
  return refusal === undefined ? badReply(packet) : { kind: "reported", refusal };
}

function violation(what: string): Fault {
  return { kind: "violation", message: `the server broke the protocol: ${what}` };
}

function unknownTransaction(packet: PacketReader): Fault {
  return violation(`a packet belongs to no open request (id ${packet.xid})`);
}

function badReply(packet: PacketReader): Fault {
  return violation(`a reply with code ${packet.code} does not fit its request`);
}
