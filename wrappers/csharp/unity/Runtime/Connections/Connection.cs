#nullable enable

using System;
using System.Collections.Generic;
using NetSwap.Wire;

namespace NetSwap.Connections
{
    /// <summary>The settings of a connection.</summary>
    internal readonly struct ConnectionConfig
    {
        public ConnectionConfig(long maxReply, int maxRequests, long idleTimeout, uint firstXid = 1)
        {
            MaxReply = maxReply;
            MaxRequests = maxRequests;
            IdleTimeout = idleTimeout;
            FirstXid = firstXid;
        }

        /// <summary>The most bytes of data that a reply may have to be taken whole.</summary>
        public long MaxReply { get; }

        /// <summary>Transactions that may be open at once; watches that have got their OK do not count.</summary>
        public int MaxRequests { get; }

        /// <summary>How long the terminal of a transaction that was given up may take while nothing moves.</summary>
        public long IdleTimeout { get; }

        /// <summary>The id of the first transaction: 1, since servers refuse whole connections under id 0 (§4.2).</summary>
        public uint FirstXid { get; }
    }

    /// <summary>Why a request was not made.</summary>
    internal enum NotMade
    {
        TooMany,
        TooLong,
        Ended,
    }

    /// <summary>
    /// The client's side of one connection (docs/PROTOCOL.md §8), as a state machine without sockets and clocks: requests
    /// become bytes, bytes become events. Drive it so, in any order:
    /// make requests with <see cref="Request"/> and <see cref="Provide"/> the data of those that are streamed; write what
    /// <see cref="Take"/> gives to the socket; while it <see cref="WantsRead"/>, pass what the socket gives to
    /// <see cref="HandleInput"/>, and at its end call <see cref="HandleEnd"/>; call <see cref="HandleTimeout"/> when
    /// <see cref="Timeout"/> has come; take the events of <see cref="Events"/>. Times must not go backwards. After a fault, or
    /// <see cref="HandleEnd"/>, every open transaction has ended with an event: begin again with a new connection.
    /// </summary>
    internal sealed partial class Connection
    {
        // While pieces and notifications of more bytes than this are not consumed, nothing is read.
        private const long HeldAtMost = 4 * 1024 * 1024;

        // More of an upload is wanted when fewer bytes than this wait to be sent, and then as many as make the other.
        private const long LowWater = 128 * 1024;
        private const long HighWater = 256 * 1024;

        // Ended transactions that are kept to be used again.
        private const int SparesAtMost = 64;

        private readonly ConnectionConfig config;
        private readonly Clock clock = new Clock();
        private readonly Output output = new Output();
        private readonly Dictionary<uint, Transaction> open = new Dictionary<uint, Transaction>();
        private readonly Stack<Transaction> spares = new Stack<Transaction>();
        private uint nextXid;
        private long held;

        // How many transactions are watches that have got their OK.
        private int standing;
        private bool ended;
        private Fault? fault;

        public Connection(in ConnectionConfig config)
        {
            this.config = config;
            nextXid = config.FirstXid;
        }

        /// <summary>What has happened, to be taken by the caller.</summary>
        public List<Event> Events { get; private set; } = new List<Event>();

        /// <summary>Whether there is something to be sent.</summary>
        public bool WantsWrite => !output.IsEmpty;

        /// <summary>Whether input is welcome: not while too much is not consumed, nor after the end.</summary>
        public bool WantsRead => !ended && held <= HeldAtMost;

        /// <summary>When <see cref="HandleTimeout"/> is to be called at the latest. It may find nothing due then.</summary>
        public long Timeout => WantsRead && open.Count > 0 ? clock.Check : Clock.Never;

        /// <summary>Transactions that are open: those too that were given up and wait for their terminal, and watches.</summary>
        public int Open => open.Count;

        /// <summary>Takes the events, and gives the connection another, empty list for the next ones.</summary>
        public List<Event> TakeEvents(List<Event> empty)
        {
            List<Event> taken = Events;
            Events = empty;
            return taken;
        }

        /// <summary>Makes a request; one without its data is provided with them. <c>null</c> where it was not made.</summary>
        public Transaction? Request(object owner, in Request request, in RequestOptions options, long now, out NotMade why)
        {
            why = NotMade.Ended;
            if (ended)
            {
                return null;
            }

            if (open.Count - standing >= config.MaxRequests)
            {
                why = NotMade.TooMany;
                return null;
            }

            if (request.Length > Packet.MaxMessage)
            {
                why = NotMade.TooLong;
                return null;
            }

            while (open.ContainsKey(nextXid))
            {
                nextXid = unchecked(nextXid + 1);
            }

            uint xid = nextXid;
            nextXid = unchecked(xid + 1);
            Transaction transaction = spares.Count > 0 ? spares.Pop() : new Transaction();
            transaction.Begin(xid, owner, request, options, now);
            open.Add(xid, transaction);
            output.Push(transaction.Lane);
            clock.Watch(Clock.After(now, options.IdleTimeout));
            return transaction;
        }

        /// <summary>
        /// Gives an upload its next data, best not more than are wanted; they must stay as they are until they have left.
        /// What is beyond its length is ignored.
        /// </summary>
        public void Provide(Transaction transaction, ReadOnlyMemory<byte> data)
        {
            if (transaction.Ungiven == 0 || transaction.Sending != Sending.Going || !IsOpen(transaction))
            {
                return;
            }

            ReadOnlyMemory<byte> given = data.Slice(0, (int)Math.Min(data.Length, transaction.Ungiven));
            transaction.Lane.Give(given);
            transaction.Ungiven -= given.Length;
            transaction.IsFull = transaction.Lane.Given >= LowWater;
            output.Push(transaction.Lane);
        }

        /// <summary>How many more bytes of an upload's data are wanted now. After 0 an event tells when to ask again.</summary>
        public long Wanted(Transaction transaction)
        {
            long given = transaction.Lane.Given;
            if (transaction.Sending != Sending.Going || given >= LowWater)
            {
                return 0;
            }

            return Math.Min(HighWater - given, transaction.Ungiven);
        }

        /// <summary>
        /// Fills memory of at least 1400 bytes with what is to be sent, and tells how many bytes that is. They count as sent
        /// from now on: a request of which the last byte is among them may take effect.
        /// </summary>
        public int Take(Span<byte> into, long now)
        {
            int at = 0;
            for (int length; (length = output.Take(into.Slice(at), out Lane? lane)) > 0; at += length)
            {
                if (lane != null)
                {
                    Left(lane, now);
                }
            }

            if (at > 0)
            {
                clock.Active = now;
            }

            return at;
        }

        /// <summary>The connection has ended, orderly or not: every open transaction ends with an event.</summary>
        public void HandleEnd()
        {
            if (!ended)
            {
                End(null);
            }
        }

        /// <summary>Gives up the transactions of which no packet has moved for too long.</summary>
        public Fault? HandleTimeout(long now)
        {
            if (now < Timeout)
            {
                return null;
            }

            clock.Check = Clock.Never;
            var due = new List<Transaction>();
            foreach (Transaction transaction in open.Values)
            {
                long deadline = clock.Deadline(transaction, config.IdleTimeout);
                if (deadline <= now)
                {
                    due.Add(transaction);
                }
                else
                {
                    clock.Watch(deadline);
                }
            }

            bool dead = false;
            foreach (Transaction transaction in due)
            {
                if (transaction.IsAbandoned)
                {
                    dead = true;
                }
                else
                {
                    GiveUp(transaction, new Failure(FailureKind.TimedOut, default), now);
                }
            }

            if (!dead)
            {
                return null;
            }

            End(Fault.Dead());
            return fault;
        }

        /// <summary>Bytes of pieces, or weight of changes, are not held by the caller any more.</summary>
        public void Consumed(Transaction transaction, long count, long now)
        {
            if (IsOpen(transaction))
            {
                long consumed = Math.Min(count, transaction.Held);
                transaction.Held -= consumed;
                Release(consumed, now);
            }
        }

        /// <summary>
        /// Gives up a transaction: what has not left of it is dropped, and the server is told where it must be
        /// (docs/PROTOCOL.md §2.5). No event comes for it any more. Tells what is known of its effect; <c>null</c> when it has
        /// ended already.
        /// </summary>
        public RequestOutcome? Abort(Transaction transaction, long now)
        {
            if (transaction.IsAbandoned || !IsOpen(transaction))
            {
                return null;
            }

            bool isUnheard = transaction.Sending == Sending.Going && !transaction.Lane.HasBegun;
            if (transaction.Sending == Sending.Going)
            {
                Cut(transaction);
            }

            RequestOutcome outcome = transaction.Outcome(transaction.Sending == Sending.Gone);
            object owner = transaction.Owner;
            Release(transaction.Abandon(now), now);
            Events.RemoveAll(one => one.Owner == owner);
            if (isUnheard)
            {
                Close(transaction);
                return outcome;
            }

            if (!transaction.IsTold)
            {
                Tell(transaction);
            }

            clock.Watch(Clock.After(now, config.IdleTimeout));
            return outcome;
        }

        private void Left(Lane lane, long now)
        {
            if (!open.TryGetValue(lane.Xid, out Transaction? transaction))
            {
                return;
            }

            transaction.Moved = now;
            if (lane.Remaining == 0)
            {
                transaction.Sending = Sending.Gone;
                if (transaction.Wait.HasValue)
                {
                    clock.Watch(Clock.After(now, transaction.Wait.Value));
                }
            }
            else if (transaction.IsFull && transaction.Ungiven > 0 && lane.Given < LowWater)
            {
                transaction.IsFull = false;
                Events.Add(Event.Wanted(transaction.Owner));
            }
        }

        private void GiveUp(Transaction transaction, in Failure failure, long now)
        {
            object owner = transaction.Owner;
            RequestOutcome? outcome = Abort(transaction, now);
            if (outcome.HasValue)
            {
                Events.Add(Event.Ended(owner, failure.With(outcome.Value)));
            }
        }

        // Forgets a transaction whose terminal is here. One that its caller gave up may still be known there.
        private void Close(Transaction transaction)
        {
            open.Remove(transaction.Xid);
            held -= transaction.Held;
            standing -= transaction.Stands ? 1 : 0;
            bool again = !transaction.IsAbandoned && transaction.Watching == null && !transaction.Lane.IsInTurn;
            transaction.Forget();
            if (again && spares.Count < SparesAtMost)
            {
                spares.Push(transaction);
            }
        }

        private void Hold(Transaction transaction, long count)
        {
            transaction.Held += count;
            held += count;
        }

        private bool IsOpen(Transaction transaction) =>
            open.TryGetValue(transaction.Xid, out Transaction? found) && found == transaction;

        private void Cut(Transaction transaction)
        {
            transaction.Sending = Sending.Cut;
            output.Cancel(transaction.Lane);
        }

        private void Tell(Transaction transaction)
        {
            transaction.IsTold = true;
            output.Abort(transaction.Xid);
        }

        private void Release(long count, long now)
        {
            bool waited = !WantsRead;
            held -= count;
            if (waited && WantsRead)
            {
                clock.Resumed = now;
            }
        }

        private void End(Fault? because)
        {
            // A connection that was refused has taken no request.
            bool refused = because != null && because.Kind == FaultKind.Refused;
            foreach (Transaction transaction in open.Values)
            {
                if (!transaction.IsAbandoned)
                {
                    RequestOutcome outcome = transaction.Outcome(transaction.Sending == Sending.Gone && !refused);
                    Events.Add(Event.Ended(transaction.Owner, new Failure(FailureKind.ConnectionLost, outcome)));
                }

                transaction.Forget();
            }

            open.Clear();
            held = 0;
            standing = 0;
            ended = true;
            fault = because;
        }
    }
}
