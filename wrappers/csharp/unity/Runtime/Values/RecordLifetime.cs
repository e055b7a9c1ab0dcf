#nullable enable

using System;

namespace NetSwap
{
    /// <summary>How long a record lives (docs/PROTOCOL.md §6.4). Times go to the server in whole seconds, rounded up.</summary>
    public sealed class RecordLifetime
    {
        /// <summary>How long it outlives its owner's last connection; the server's default where it is <c>null</c>.</summary>
        public TimeSpan? Grace { get; set; }

        /// <summary>After this time it ends, whoever is connected: at least 1 s. Never where it is <c>null</c>.</summary>
        public TimeSpan? TimeToLive { get; set; }

        /// <summary>Who owns it after the grace; nobody, and it ends, where it is <c>null</c>.</summary>
        public OwnerHash? Heir { get; set; }
    }
}
