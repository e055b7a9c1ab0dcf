#nullable enable

using System;

namespace NetSwap
{
    /// <summary>The state of a record without its data (docs/PROTOCOL.md §3.13).</summary>
    public sealed class RecordStat
    {
        internal RecordStat(
            long length, ulong version, OwnerHash owner, RecordAccess access, bool isReserved, TimeSpan? expires)
        {
            Length = length;
            Version = version;
            Owner = owner;
            Access = access;
            IsReserved = isReserved;
            Expires = expires;
        }

        /// <summary>Bytes of data; 0 while the record is reserved.</summary>
        public long Length { get; }

        /// <summary>How often its data have been written: 1 at first, 0 while it is reserved.</summary>
        public ulong Version { get; }

        /// <summary>Who owns it.</summary>
        public OwnerHash Owner { get; }

        /// <summary>What others may do with it.</summary>
        public RecordAccess Access { get; }

        /// <summary>Whether it is reserved and has no data yet (docs/PROTOCOL.md §3.22).</summary>
        public bool IsReserved { get; }

        /// <summary>When it ends, in whole seconds rounded up; <c>null</c> where no end is in sight.</summary>
        public TimeSpan? Expires { get; }
    }
}
