#nullable enable

using System;

namespace NetSwap
{
    /// <summary>Who the caller is, and what the server allows (docs/PROTOCOL.md §3.11).</summary>
    public sealed class ServerIdentity
    {
        internal ServerIdentity(OwnerHash owner, int protocol, int packetLimit, long recordLimit, TimeSpan grace)
        {
            Owner = owner;
            Protocol = protocol;
            PacketLimit = packetLimit;
            RecordLimit = recordLimit;
            Grace = grace;
        }

        /// <summary>The caller's own owner hash: that of its IP address.</summary>
        public OwnerHash Owner { get; }

        /// <summary>The version of the protocol that the server speaks.</summary>
        public int Protocol { get; }

        /// <summary>The most bytes of payload in a packet.</summary>
        public int PacketLimit { get; }

        /// <summary>The longest record in bytes.</summary>
        public long RecordLimit { get; }

        /// <summary>How long records outlive their owner's last connection, in whole seconds rounded up.</summary>
        public TimeSpan Grace { get; }
    }
}
