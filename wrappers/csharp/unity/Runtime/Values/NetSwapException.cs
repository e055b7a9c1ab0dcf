#nullable enable

using System;
using System.Threading;

namespace NetSwap
{
    /// <summary>The sort of a <see cref="NetSwapException"/> (docs/PORTING.md §3).</summary>
    public enum NetSwapErrorKind
    {
        /// <summary>The server refused the request, or the connection: <see cref="NetSwapException.Code"/> says why.</summary>
        Refused,

        /// <summary>The server ended the request without a result: it is shutting down.</summary>
        Aborted,

        /// <summary>None of the request's bytes moved for its timeout, or there was no connection for so long.</summary>
        TimedOut,

        /// <summary>The connection ended before the reply was complete.</summary>
        ConnectionLost,

        /// <summary>No connection could be made, or nothing answered the greeting.</summary>
        Connect,

        /// <summary>The server broke the protocol, or speaks another version of it, or says that this client broke it.</summary>
        Protocol,

        /// <summary>A limit of this client: too many requests at once, or an answer longer than it takes.</summary>
        Limit,

        /// <summary>The stream that an upload reads, or a download writes, failed or ended early.</summary>
        Stream,

        /// <summary>The client was closed, or its connection is lost and it does not connect again.</summary>
        Closed,

        /// <summary>The record that a mirror follows is gone, or may not be read any more.</summary>
        Ended,
    }

    /// <summary>What a server answers in the place of a result (docs/PROTOCOL.md §4.1).</summary>
    public enum RefusalCode
    {
        /// <summary>The record's owner does not allow this to others.</summary>
        AccessViolation = 1,

        /// <summary>There is no record at this pointer; or, of an addition, not 8 bytes at this offset.</summary>
        AddressFault = 2,

        /// <summary>This client broke the protocol; the connection has ended. Detail 1 to 5.</summary>
        MalformedPacket = 4,

        /// <summary>The request is not valid: detail 1 ACCESS byte, 2 payload length, 3 operand value.</summary>
        InvalidRequest = 5,

        /// <summary>The server does not support this operation.</summary>
        UnsupportedOperation = 6,

        /// <summary>The data are longer than the server's limit, in bytes.</summary>
        RecordTooLarge = 7,

        /// <summary>A limit of the server is reached: detail 1 to 8 (docs/PROTOCOL.md §4.2).</summary>
        QuotaExceeded = 8,

        /// <summary>The record has another version by now.</summary>
        VersionMismatch = 9,
    }

    /// <summary>What is known of the effect of a request that got no answer (docs/PROTOCOL.md §8.1).</summary>
    public enum RequestOutcome
    {
        /// <summary>It changed nothing, and never will.</summary>
        NotDone,

        /// <summary>Nobody knows: it left whole, and changes something.</summary>
        Unknown,
    }

    /// <summary>Why a call failed. The message is a sentence that can be printed as it is.</summary>
    public sealed class NetSwapException : Exception
    {
        internal NetSwapException(
            NetSwapErrorKind kind, string message, RequestOutcome outcome = RequestOutcome.NotDone, bool isRetryable = false,
            Wire.Refusal? refusal = null, Exception? inner = null)
            : base(message, inner)
        {
            Kind = kind;
            Outcome = outcome;
            IsRetryable = isRetryable;
            Code = refusal?.Code;
            Detail = refusal?.Detail;
            Limit = refusal?.Limit;
            CurrentVersion = refusal?.Version;
        }

        /// <summary>The sort of error.</summary>
        public NetSwapErrorKind Kind { get; }

        /// <summary>What the server said, where it said something.</summary>
        public RefusalCode? Code { get; }

        /// <summary>What the code leaves open: see <see cref="RefusalCode"/>.</summary>
        public int? Detail { get; }

        /// <summary>The limit: of <c>RecordTooLarge</c> in bytes, of <c>QuotaExceeded</c> in what is limited.</summary>
        public ulong? Limit { get; }

        /// <summary>Of <c>VersionMismatch</c> the version that the record has.</summary>
        public ulong? CurrentVersion { get; }

        /// <summary>Whether the request may have taken effect all the same.</summary>
        public RequestOutcome Outcome { get; }

        /// <summary>Whether the same call may succeed later, and making it again cannot do a thing twice.</summary>
        public bool IsRetryable { get; }
    }

    /// <summary>The caller gave a call up, with its <see cref="CancellationToken"/>. The server was told with an ABORT.</summary>
    public sealed class CallCanceledException : OperationCanceledException
    {
        internal CallCanceledException(CancellationToken token, RequestOutcome outcome)
            : base("the call was given up", token)
        {
            Outcome = outcome;
        }

        /// <summary>Whether the request may have taken effect all the same.</summary>
        public RequestOutcome Outcome { get; }
    }
}
