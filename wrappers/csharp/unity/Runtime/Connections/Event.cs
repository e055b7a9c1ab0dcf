#nullable enable

using NetSwap.Wire;

namespace NetSwap.Connections
{
    /// <summary>Why a transaction ended without a reply.</summary>
    internal enum FailureKind
    {
        /// <summary>The server ended it with an ABORT (docs/PROTOCOL.md §2.5).</summary>
        Aborted,

        /// <summary>None of its packets moved for too long.</summary>
        TimedOut,

        /// <summary>The connection ended before the reply was complete.</summary>
        ConnectionLost,

        /// <summary>The reply has more data than are taken whole.</summary>
        TooLong,
    }

    /// <summary>Why a transaction ended without a reply, and what is known of its effect.</summary>
    internal readonly struct Failure
    {
        public Failure(FailureKind kind, RequestOutcome outcome, long length = 0, long limit = 0)
        {
            Kind = kind;
            Outcome = outcome;
            Length = length;
            Limit = limit;
        }

        public FailureKind Kind { get; }

        public RequestOutcome Outcome { get; }

        /// <summary>Of what is too long: its bytes of data.</summary>
        public long Length { get; }

        /// <summary>Of what is too long: how many are taken.</summary>
        public long Limit { get; }

        public Failure With(RequestOutcome outcome) => new Failure(Kind, outcome, Length, Limit);
    }

    internal enum EventKind
    {
        /// <summary>The server has answered: <see cref="Event.Reply"/>. The last event.</summary>
        Replied,

        /// <summary>The next data of a record that is read in pieces, to be reported as consumed.</summary>
        Piece,

        /// <summary>More of an upload's data can be provided.</summary>
        Wanted,

        /// <summary>The record is watched from now on, and has the version <see cref="Reply.First"/>.</summary>
        Watching,

        /// <summary>A watched record has changed; to be reported as consumed by its weight. A last one is the last event.</summary>
        Notified,

        /// <summary>It has ended without a reply: <see cref="Event.Failure"/>. The last event.</summary>
        Ended,
    }

    /// <summary>Something has happened to a transaction, which its caller knows by its owner.</summary>
    internal readonly struct Event
    {
        private Event(
            EventKind kind, object owner, in Reply reply = default, in RecordChange change = default,
            in Failure failure = default)
        {
            Kind = kind;
            Owner = owner;
            Reply = reply;
            Change = change;
            Failure = failure;
        }

        public EventKind Kind { get; }

        public object Owner { get; }

        /// <summary>The reply. Of a piece its rented memory, with its length as the first and the record's as the second.</summary>
        public Reply Reply { get; }

        public RecordChange Change { get; }

        public Failure Failure { get; }

        public static Event Replied(object owner, in Reply reply) => new Event(EventKind.Replied, owner, reply);

        public static Event Piece(object owner, byte[] rented, int length, long total) =>
            new Event(EventKind.Piece, owner, new Reply(ReplyCode.Resolved, (ulong)length, (ulong)total, rented));

        public static Event Wanted(object owner) => new Event(EventKind.Wanted, owner);

        public static Event Watching(object owner, ulong version) =>
            new Event(EventKind.Watching, owner, new Reply(ReplyCode.Ok, version));

        public static Event Notified(object owner, in RecordChange change) =>
            new Event(EventKind.Notified, owner, change: change);

        public static Event Ended(object owner, in Failure failure) =>
            new Event(EventKind.Ended, owner, failure: failure);
    }

    internal enum FaultKind
    {
        /// <summary>The server broke the protocol (docs/PROTOCOL.md §8.1).</summary>
        Violation,

        /// <summary>The server says that this client did (§5.1).</summary>
        Reported,

        /// <summary>The server has no room for the connection (§4.2, quotas 7 and 8).</summary>
        Refused,

        /// <summary>The server leaves an ABORT unanswered, and nothing moves.</summary>
        Dead,
    }

    /// <summary>Why a connection is of no more use.</summary>
    internal sealed class Fault
    {
        private Fault(FaultKind kind, string message, Refusal? refusal = null)
        {
            Kind = kind;
            Message = message;
            Refusal = refusal;
        }

        public FaultKind Kind { get; }

        public string Message { get; }

        public Refusal? Refusal { get; }

        public static Fault Violation(string what) =>
            new Fault(FaultKind.Violation, "the server broke the protocol: " + what);

        public static Fault Reported(Refusal refusal) => new Fault(FaultKind.Reported, refusal.Message, refusal);

        public static Fault Refused(Refusal refusal) => new Fault(FaultKind.Refused, refusal.Message, refusal);

        public static Fault Dead() => new Fault(FaultKind.Dead, "the server does not answer any more");
    }
}
