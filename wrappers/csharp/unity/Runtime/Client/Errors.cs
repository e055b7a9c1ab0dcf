#nullable enable

using System;
using System.Globalization;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>Why a connection ended: an error of the socket, a fault, or neither, where the server closed it.</summary>
    internal sealed class Disconnect
    {
        public Disconnect(Exception? error = null, Fault? fault = null)
        {
            Error = error;
            Fault = fault;
        }

        public Exception? Error { get; }

        public Fault? Fault { get; }
    }

    /// <summary>Makes the errors that calls fail with (docs/PORTING.md §3).</summary>
    internal static class Errors
    {
        public static NetSwapException Refused(Refusal refusal) => new NetSwapException(
            NetSwapErrorKind.Refused, refusal.Message, isRetryable: refusal.Code == RefusalCode.QuotaExceeded, refusal: refusal);

        /// <summary>The error of a call whose connection has ended.</summary>
        public static NetSwapException Lost(Disconnect cause, RequestOutcome outcome)
        {
            string told = Told(outcome);
            bool again = outcome == RequestOutcome.NotDone;
            Fault? fault = cause.Fault;
            if (fault == null)
            {
                string message = cause.Error == null
                    ? "the server closed the connection" : "the connection was lost: " + cause.Error.Message;
                return new NetSwapException(
                    NetSwapErrorKind.ConnectionLost, message + told, outcome, again, inner: cause.Error);
            }

            switch (fault.Kind)
            {
                case FaultKind.Refused:
                    return Refused(fault.Refusal!);
                case FaultKind.Dead:
                    return new NetSwapException(NetSwapErrorKind.ConnectionLost, fault.Message + told, outcome, again);
                default:
                    return new NetSwapException(
                        NetSwapErrorKind.Protocol, fault.Message + told, outcome, refusal: fault.Refusal);
            }
        }

        /// <summary>The error of a transaction that ended without a reply; the cause is why its connection has ended.</summary>
        public static NetSwapException Failed(in Failure failure, Disconnect? cause)
        {
            RequestOutcome outcome = failure.Outcome;
            bool again = outcome == RequestOutcome.NotDone;
            switch (failure.Kind)
            {
                case FailureKind.Aborted:
                    return new NetSwapException(
                        NetSwapErrorKind.Aborted, "the server ended the request without a result" + Told(outcome), outcome, again);
                case FailureKind.TimedOut:
                    return new NetSwapException(
                        NetSwapErrorKind.TimedOut, "the request timed out" + Told(outcome), outcome, again);
                case FailureKind.TooLong:
                    return new NetSwapException(NetSwapErrorKind.Limit, string.Format(
                        CultureInfo.InvariantCulture,
                        "the answer has {0} bytes, more than the {1} bytes that this client takes", failure.Length, failure.Limit));
                default:
                    return cause == null ? Closed() : Lost(cause, outcome);
            }
        }

        public static NetSwapException NoConnectionForLong() => new NetSwapException(
            NetSwapErrorKind.TimedOut, "there was no connection for too long; nothing was sent", isRetryable: true);

        public static NetSwapException NoConnection() => new NetSwapException(
            NetSwapErrorKind.Connect, "there is no connection; nothing was sent", isRetryable: true);

        public static NetSwapException Closed() => new NetSwapException(NetSwapErrorKind.Closed, "the client is closed");

        public static NetSwapException NotConnected(string address, Exception cause) => new NetSwapException(
            NetSwapErrorKind.Connect, $"cannot connect to {address}: {cause.Message}", isRetryable: true, inner: cause);

        public static NetSwapException NoAnswer(string address, long ticks) => new NetSwapException(
            NetSwapErrorKind.Connect, string.Format(
                CultureInfo.InvariantCulture, "cannot connect to {0}: no answer within {1} ms", address,
                ticks / TimeSpan.TicksPerMillisecond),
            isRetryable: true);

        public static NetSwapException OtherVersion(int version) => new NetSwapException(
            NetSwapErrorKind.Protocol, $"the server speaks version {version} of the protocol, and this client version 1");

        public static NetSwapException NotMade(NotMade why, int limit)
        {
            switch (why)
            {
                case Connections.NotMade.TooMany:
                    return new NetSwapException(
                        NetSwapErrorKind.Limit, $"too many requests at once: this client's limit is {limit}", isRetryable: true);
                case Connections.NotMade.TooLong:
                    return new NetSwapException(
                        NetSwapErrorKind.Limit, "the data are longer than the protocol can carry, which is less than 4 GiB");
                default:
                    return new NetSwapException(
                        NetSwapErrorKind.ConnectionLost, "the connection was lost; nothing was sent", isRetryable: true);
            }
        }

        public static NetSwapException StreamFailed(string doing, Exception cause) => new NetSwapException(
            NetSwapErrorKind.Stream, doing + ": " + cause.Message, inner: cause);

        public static NetSwapException StreamTooShort(long read, long expected) => new NetSwapException(
            NetSwapErrorKind.Stream, $"the data to be sent ended after {read} of {expected} bytes");

        /// <summary>The record that a mirror follows has ended.</summary>
        public static NetSwapException EndedRecord(ChangeKind ending)
        {
            string message = ending == ChangeKind.Deleted ? "the record was deleted"
                : ending == ChangeKind.Expired ? "the record's time was over" : "the record may not be read any more";
            return new NetSwapException(NetSwapErrorKind.Ended, message);
        }

        private static string Told(RequestOutcome outcome) =>
            outcome == RequestOutcome.Unknown ? " (it is not known whether it was done)" : " (nothing was changed)";
    }
}
