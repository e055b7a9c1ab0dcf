#nullable enable

using System;
using System.Net;

namespace NetSwap
{
    /// <summary>
    /// How a client connects, and what it allows itself. <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> is for ever.
    /// </summary>
    public sealed class NetSwapOptions
    {
        /// <summary>Options with all defaults.</summary>
        /// <param name="address">
        /// <c>HOST:PORT</c>, <c>HOST</c> or <c>netswap://HOST:PORT</c>; the port is 7420 by default. An IPv6 address with a port
        /// stands in brackets.
        /// </param>
        public NetSwapOptions(string address)
        {
            Address = address;
        }

        /// <summary>The server: <c>HOST:PORT</c>, <c>HOST</c> or <c>netswap://HOST:PORT</c>.</summary>
        public string Address { get; set; }

        /// <summary>
        /// The local IP address to connect from: the system's choice by default. A client is known by its address alone.
        /// </summary>
        public IPAddress? Bind { get; set; }

        /// <summary>For connecting and the greeting together: 5 s by default.</summary>
        public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

        /// <summary>
        /// How long a call may go without any byte of its request or reply moving, or wait for a connection: 10 s by default.
        /// </summary>
        public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(10);

        /// <summary>Whether a lost connection is made again: <c>true</c> by default.</summary>
        public bool Reconnect { get; set; } = true;

        /// <summary>
        /// How long to wait before the first attempt to connect again: 100 ms by default. It doubles from one attempt to the
        /// next, and each has a random part of up to as much again.
        /// </summary>
        public TimeSpan FirstReconnectDelay { get; set; } = TimeSpan.FromMilliseconds(100);

        /// <summary>How long to wait at most before an attempt, but for the random part: 10 s by default.</summary>
        public TimeSpan LongestReconnectDelay { get; set; } = TimeSpan.FromSeconds(10);

        /// <summary>
        /// Whether calls wait for a connection that was lost and is being made again, up to their timeout: <c>true</c> by
        /// default. With <c>false</c> they fail at once, with the kind <see cref="NetSwapErrorKind.Connect"/>.
        /// </summary>
        public bool WaitForConnection { get; set; } = true;

        /// <summary>
        /// The most bytes of data that are taken whole: 1 GiB by default, 4294967295 at most; an array has 2147483591 at most.
        /// Streams have no limit.
        /// </summary>
        public long MaxReply { get; set; } = 1L << 30;

        /// <summary>Calls under way at once: 1024 by default. Watches do not count.</summary>
        public int MaxRequests { get; set; } = 1024;
    }
}
