#nullable enable

using System;
using NetSwap.Wire;

namespace NetSwap.Connections
{
    /// <summary>
    /// What a client makes of the packets that the server sends: everything that can be judged is judged by the header, and
    /// what no honest server sends is the end of the connection (docs/PROTOCOL.md §8.1).
    /// </summary>
    internal sealed partial class Connection
    {
        // The id under which a server refuses a whole connection.
        private const uint RefusedXid = 0;

        private readonly PacketReader reader = new PacketReader();

        // The server's refusal of the whole connection, while it arrives.
        private Incoming? refusal;

        /// <summary>Takes bytes that arrived, however they are cut. Tells what is wrong where the connection is of no more use.</summary>
        public Fault? HandleInput(ReadOnlySpan<byte> input, long now)
        {
            if (ended)
            {
                return fault;
            }

            if (!input.IsEmpty)
            {
                clock.Active = now;
            }

            for (int at = 0; reader.Next(input, at); at = reader.End)
            {
                Fault? found = TakeFragment(input.Slice(reader.Start, reader.End - reader.Start), now);
                if (found != null)
                {
                    End(found);
                    return found;
                }
            }

            return null;
        }

        private Fault? TakeFragment(ReadOnlySpan<byte> payload, long now)
        {
            Packet packet = reader.Packet;
            if (reader.Opens)
            {
                if (packet.Code == (byte)ReplyCode.Abort)
                {
                    return TakeAbort(packet);
                }

                if (packet.Code == (byte)ReplyCode.MalformedPacket)
                {
                    return JudgeMalformed(packet);
                }

                Fault? found = TakeHeader(packet, now);
                if (found != null)
                {
                    return found;
                }
            }

            bool ends = reader.Closes && packet.IsLast;
            if (refusal != null && packet.Xid == RefusedXid)
            {
                refusal.Take(payload);
                return ends ? RefusedConnection(refusal) : null;
            }

            if (!open.TryGetValue(packet.Xid, out Transaction? transaction))
            {
                return null;
            }

            transaction.Moved = now;
            if (!transaction.IsAbandoned && transaction.IsReceiving)
            {
                Incoming reply = transaction.Reply;
                if (!reply.Take(payload))
                {
                    GiveUp(transaction, TooLong(reply.Total, Incoming.LongestArray), now);
                }
                else if (reply.HasPiece)
                {
                    HandOut(transaction);
                }
            }

            return ends ? Complete(transaction, now) : null;
        }

        // Judges a packet by its header.
        private Fault? TakeHeader(in Packet packet, long now)
        {
            if (!open.TryGetValue(packet.Xid, out Transaction? transaction))
            {
                if (!RefusesConnection(packet))
                {
                    return UnknownTransaction(packet);
                }

                refusal = new Incoming();
                refusal.Begin(packet, Lengths.Exactly(packet.Remaining), false);
                return null;
            }

            if (transaction.IsReceiving)
            {
                return transaction.Reply.GoesOnWith(packet)
                    ? null : Fault.Violation("a packet does not continue its message");
            }

            Lengths lengths = transaction.LengthsOf(packet);
            if (!lengths.Allow(packet.Remaining))
            {
                return BadReply(packet);
            }

            transaction.Receive(packet, lengths);
            clock.Watch(Clock.After(now, transaction.IdleTimeout));
            if (packet.Code == (byte)ReplyCode.Ok || transaction.Reply.IsRecord)
            {
                if (transaction.Sending != Sending.Gone)
                {
                    return BadReply(packet);
                }
            }
            else if (!CutOff(transaction, true))
            {
                return UnknownTransaction(packet);
            }

            long length = lengths.DataIn(packet.Remaining);
            if (length > config.MaxReply && !(transaction.Pieces && transaction.Reply.IsRecord))
            {
                GiveUp(transaction, TooLong(length, config.MaxReply), now);
            }

            return null;
        }

        // Takes the server's ABORT: the transaction has ended without a result (docs/PROTOCOL.md §2.5).
        private Fault? TakeAbort(in Packet packet)
        {
            if (packet.Remaining > 0 || packet.Access > 0)
            {
                return Fault.Violation("an ABORT has a payload or flags");
            }

            if (!open.TryGetValue(packet.Xid, out Transaction? transaction) || !CutOff(transaction, false))
            {
                return UnknownTransaction(packet);
            }

            if (!transaction.IsAbandoned)
            {
                RequestOutcome outcome = transaction.Outcome(transaction.Sending == Sending.Gone);
                Events.Add(Event.Ended(transaction.Owner, new Failure(FailureKind.Aborted, outcome)));
            }

            Close(transaction);
            return null;
        }

        // Drops what has not left of a request that the server has ended, and tells it with an ABORT where it would wait for
        // the rest. `false` where nothing of it has left: the server cannot know of it.
        private bool CutOff(Transaction transaction, bool abort)
        {
            if (transaction.Sending != Sending.Going)
            {
                return true;
            }

            if (!transaction.Lane.HasBegun)
            {
                return false;
            }

            Cut(transaction);
            if (abort)
            {
                Tell(transaction);
            }

            return true;
        }

        // The last byte of a reply or notification is here.
        private Fault? Complete(Transaction transaction, long now)
        {
            Incoming reply = transaction.Reply;
            if (!transaction.IsReceiving)
            {
                return null;
            }

            var code = (ReplyCode)reply.Code;
            if (transaction.Watching != null && (code == ReplyCode.Ok || code == ReplyCode.Notify))
            {
                transaction.IsReceiving = false;
                return CompleteOfWatch(transaction, transaction.Watching, now);
            }

            if (!transaction.IsAbandoned)
            {
                if (transaction.Pieces && reply.Available > 0)
                {
                    HandOut(transaction);
                }

                bool reads = ReplyReader.TryRead(
                    transaction.Opcode, code, reply.Access, reply.Fields, reply.Rest(), out Reply answer);
                if (!reads || reply.Differs)
                {
                    return Fault.Violation("a reply does not fit its request");
                }

                Events.Add(Event.Replied(transaction.Owner, answer));
            }

            Close(transaction);
            return null;
        }

        // The last byte of a watch's OK or notification is here (docs/PROTOCOL.md §3.21, §4.3).
        private Fault? CompleteOfWatch(Transaction transaction, Watching watching, long now)
        {
            Incoming reply = transaction.Reply;
            if (!watching.HasBegun)
            {
                // Of a watch that was given up nothing was kept.
                Reply ok = default;
                if (!transaction.IsAbandoned)
                {
                    ReplyReader.TryRead(
                        transaction.Opcode, ReplyCode.Ok, reply.Access, reply.Fields, reply.Rest(), out ok);
                    Events.Add(Event.Watching(transaction.Owner, ok.First));
                }

                watching.Begin(ok.First);
                standing++;
                return null;
            }

            if (transaction.IsAbandoned)
            {
                if (ReplyRules.IsFinal(reply.Access))
                {
                    Close(transaction);
                }

                return null;
            }

            bool reads = ReplyReader.TryReadNotification(
                reply.Access, reply.Fields, reply.Rest(), watching.Push, out RecordChange change);
            if (!reads || !watching.Follows(change))
            {
                return Fault.Violation("a notification does not fit its watch");
            }

            // The record is at least so long by now, whatever part of it this is.
            long length = change.Kind == ChangeKind.Range ? change.Offset + change.Data.Length : 0;
            if (length > config.MaxReply)
            {
                GiveUp(transaction, TooLong(length, config.MaxReply), now);
                return null;
            }

            Events.Add(Event.Notified(transaction.Owner, change));
            if (change.IsLast)
            {
                Close(transaction);
            }
            else
            {
                Hold(transaction, change.Weight);
            }

            return null;
        }

        // Hands out the data of a download that are here.
        private void HandOut(Transaction transaction)
        {
            Incoming reply = transaction.Reply;
            int length = reply.Available;
            Hold(transaction, length);
            Events.Add(Event.Piece(transaction.Owner, reply.Rest(), length, reply.Total));
        }

        private static Failure TooLong(long length, long limit) =>
            new Failure(FailureKind.TooLong, default, length, limit);

        // Whether this is the one reply to no request: the connection itself is over a limit (docs/PROTOCOL.md §4.2).
        private static bool RefusesConnection(in Packet packet) =>
            packet.Xid == RefusedXid && packet.Code == (byte)ReplyCode.QuotaExceeded && packet.Remaining == 8
            && (packet.Access == 7 || packet.Access == 8);

        private static Fault RefusedConnection(Incoming incoming)
        {
            Refusal? read = Refusal.Read(default, (ReplyCode)incoming.Code, incoming.Access, incoming.Fields);
            return read == null ? Fault.Violation("a reply belongs to no request") : Fault.Refused(read);
        }

        private static Fault JudgeMalformed(in Packet packet)
        {
            var code = (ReplyCode)packet.Code;
            bool known = packet.Access >= 1 && packet.Access <= Refusal.Details(code) && packet.Remaining == 0;
            Refusal? read = known ? Refusal.Read(default, code, packet.Access, default) : null;
            return read == null ? BadReply(packet) : Fault.Reported(read);
        }

        private static Fault UnknownTransaction(in Packet packet) =>
            Fault.Violation($"a packet belongs to no open request (id {packet.Xid})");

        private static Fault BadReply(in Packet packet) =>
            Fault.Violation($"a reply with code {packet.Code} does not fit its request");
    }
}
