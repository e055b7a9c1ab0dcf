#nullable enable

using System;

namespace NetSwap
{
    /// <summary>What has happened to a client's connection.</summary>
    public enum ConnectionEventKind
    {
        /// <summary>There is a connection again.</summary>
        Connected,

        /// <summary>The connection ended; what was under way has failed.</summary>
        Disconnected,

        /// <summary>The client is about to connect again.</summary>
        Reconnecting,

        /// <summary>The client is closed for good: it was told so, or does not connect again. The last event.</summary>
        Closed,
    }

    /// <summary>Something has happened to a client's connection.</summary>
    public sealed class ConnectionEvent
    {
        internal ConnectionEvent(
            ConnectionEventKind kind, NetSwapException? error = null, int attempt = 0, TimeSpan delay = default)
        {
            Kind = kind;
            Error = error;
            Attempt = attempt;
            Delay = delay;
        }

        /// <summary>What has happened.</summary>
        public ConnectionEventKind Kind { get; }

        /// <summary>Why the connection ended: of <c>Disconnected</c>.</summary>
        public NetSwapException? Error { get; }

        /// <summary>The number of the attempt, 1 for the first: of <c>Reconnecting</c>.</summary>
        public int Attempt { get; }

        /// <summary>How long the client waits before it: of <c>Reconnecting</c>.</summary>
        public TimeSpan Delay { get; }
    }
}
