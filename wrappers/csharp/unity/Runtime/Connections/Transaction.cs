#nullable enable

using System;
using NetSwap.Wire;

namespace NetSwap.Connections
{
    /// <summary>How far a request has left.</summary>
    internal enum Sending
    {
        /// <summary>Its last packet has not.</summary>
        Going,

        /// <summary>Its last packet has.</summary>
        Gone,

        /// <summary>The rest was dropped and never will.</summary>
        Cut,
    }

    /// <summary>The settings of one request. Times are in ticks of 100 ns; <see cref="Clock.Never"/> is for ever.</summary>
    internal readonly struct RequestOptions
    {
        public RequestOptions(long idleTimeout, long? wait = null, bool pieces = false)
        {
            IdleTimeout = idleTimeout;
            Wait = wait;
            Pieces = pieces;
        }

        /// <summary>How long it may go without any of its packets moving.</summary>
        public long IdleTimeout { get; }

        /// <summary>In the place of it from when the request has left until the answer begins: for reads that wait (§3.22).</summary>
        public long? Wait { get; }

        /// <summary>Whether the data of a RESOLVE_POINTER come in pieces.</summary>
        public bool Pieces { get; }
    }

    /// <summary>
    /// A transaction whose terminal has not arrived (docs/PROTOCOL.md §2.4). <see cref="Owner"/> is what its caller knows it
    /// by. The connection uses it again: a caller forgets it with its last event.
    /// </summary>
    internal sealed class Transaction
    {
        private static readonly object Nobody = new object();

        private RequestOptions options;
        private ReadOnlyMemory<byte> ping;
        private long range;
        private bool hasNothing;

        public object Owner { get; private set; } = Nobody;

        public uint Xid => Lane.Xid;

        public Opcode Opcode { get; private set; }

        /// <summary>Bytes of the request's payload.</summary>
        public long Payload { get; private set; }

        /// <summary>Bytes of data in it.</summary>
        public long Data { get; private set; }

        public Lane Lane { get; } = new Lane();

        public Watching? Watching { get; private set; }

        public Sending Sending { get; set; }

        /// <summary>Whether an ABORT was queued.</summary>
        public bool IsTold { get; set; }

        /// <summary>Bytes of a streamed upload's data that were not given yet.</summary>
        public long Ungiven { get; set; }

        /// <summary>Whether the caller has given enough for now.</summary>
        public bool IsFull { get; set; }

        /// <summary>The reply, or a watch's notification, while <see cref="IsReceiving"/>.</summary>
        public Incoming Reply { get; } = new Incoming();

        /// <summary>Whether a reply or notification has begun to arrive.</summary>
        public bool IsReceiving { get; set; }

        /// <summary>Bytes in pieces and notifications that the caller has not consumed.</summary>
        public long Held { get; set; }

        /// <summary>Whether the caller has heard its last of it, and only the terminal is awaited.</summary>
        public bool IsAbandoned { get; private set; }

        /// <summary>When a packet of it moved last.</summary>
        public long Moved { get; set; }

        public long IdleTimeout => options.IdleTimeout;

        public long? Wait => options.Wait;

        public bool Pieces => options.Pieces && Opcode == Opcode.ResolvePointer;

        /// <summary>Whether it is a watch that stands: the server owes it nothing.</summary>
        public bool Stands => Watching != null && Watching.HasBegun;

        /// <summary>How long it may go without a packet.</summary>
        public long Patience
        {
            get
            {
                if (IsReceiving)
                {
                    return IdleTimeout;
                }

                if (Stands)
                {
                    return Clock.Never;
                }

                return Wait.HasValue && Sending == Sending.Gone ? Wait.Value : IdleTimeout;
            }
        }

        /// <summary>Begins a request.</summary>
        public void Begin(uint xid, object owner, in Request request, in RequestOptions how, long now)
        {
            Owner = owner;
            Opcode = request.Opcode;
            Payload = request.Length;
            Data = request.Body.Length;
            Lane.Begin(xid, request);
            options = how;
            Watching = request.Opcode == Opcode.WatchRecord ? new Watching(request.Pushes) : null;
            Sending = Sending.Going;
            IsTold = false;
            Ungiven = request.Body.IsStreamed ? request.Body.Length : 0;
            IsFull = false;
            IsReceiving = false;
            Held = 0;
            IsAbandoned = false;
            Moved = now;
            ping = request.Opcode == Opcode.Ping ? request.Body.Data : default;
            range = request.Range;
            hasNothing = request.HasNothing;
        }

        /// <summary>It has ended: what it holds is let go.</summary>
        public void Forget()
        {
            Owner = Nobody;
            Lane.Forget();
            Reply.Forget();
            Watching = null;
            ping = default;
        }

        /// <summary>The lengths that the message may have which begins with this header.</summary>
        public Lengths LengthsOf(in Packet header)
        {
            var code = (ReplyCode)header.Code;
            if (Watching != null && Watching.HasBegun)
            {
                return code == ReplyCode.Notify
                    ? ReplyRules.OfNotification(header.Access, Watching.Push) : Lengths.None;
            }

            if (code == ReplyCode.NotModified && hasNothing)
            {
                return Lengths.None;
            }

            Lengths lengths = ReplyRules.Of(Opcode, code, header.Access, Payload);

            // Nobody is sent more of a range than was asked for.
            bool tooLong = range >= 0 && lengths.Exist && lengths.DataIn(header.Remaining) > range;
            return tooLong ? Lengths.None : lengths;
        }

        /// <summary>Begins to receive the message of this header.</summary>
        public void Receive(in Packet header, Lengths lengths)
        {
            IsReceiving = true;
            if (Opcode == Opcode.Ping && header.Code == (byte)ReplyCode.Ok)
            {
                Reply.BeginEcho(header, ping);
            }
            else
            {
                Reply.Begin(header, lengths, Pieces && header.Code == (byte)ReplyCode.Resolved);
            }
        }

        /// <summary>What can be said of its effect, when the request has left whole or not at all.</summary>
        public RequestOutcome Outcome(bool whole) =>
            whole && !Opcodes.OnlyReads(Opcode) ? RequestOutcome.Unknown : RequestOutcome.NotDone;

        /// <summary>The caller wants no more of it. Gives back how much the caller held.</summary>
        public long Abandon(long now)
        {
            IsAbandoned = true;
            Moved = now;
            ping = default;
            Reply.Forget();
            long held = Held;
            Held = 0;
            return held;
        }
    }
}
