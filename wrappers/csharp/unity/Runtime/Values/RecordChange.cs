#nullable enable

using System;

namespace NetSwap
{
    /// <summary>What has happened to a watched record (docs/PROTOCOL.md §4.3), or to the watch itself.</summary>
    public enum ChangeKind
    {
        /// <summary>The data are others. With them, where the watch asked for data.</summary>
        Changed,

        /// <summary>A part was written, directly after the version before; a gap behind the old end is zeros.</summary>
        Range,

        /// <summary>Others may do something else from now on.</summary>
        Access,

        /// <summary>The record has another owner.</summary>
        Owner,

        /// <summary>Somebody asks the owner for the record.</summary>
        OwnershipRequested,

        /// <summary>The connection was lost, or the server is shutting down: what happens now is not told.</summary>
        Interrupted,

        /// <summary>The record is watched again, and has this version. Where data are told, the whole record follows.</summary>
        Resumed,

        /// <summary>The record was deleted. The last change.</summary>
        Deleted,

        /// <summary>The record's time was over. The last change.</summary>
        Expired,

        /// <summary>The record may not be read any more. The last change.</summary>
        AccessLost,
    }

    /// <summary>One change of a watched record.</summary>
    public readonly struct RecordChange
    {
        private RecordChange(
            ChangeKind kind, ulong version = 0, long offset = 0, byte[]? bytes = null, RecordAccess access = default,
            OwnerHash owner = default)
        {
            Kind = kind;
            Version = version;
            Offset = offset;
            Bytes = bytes;
            Access = access;
            Owner = owner;
        }

        /// <summary>What has happened.</summary>
        public ChangeKind Kind { get; }

        /// <summary>The version of the record: of <c>Changed</c>, <c>Range</c> and <c>Resumed</c>.</summary>
        public ulong Version { get; }

        /// <summary>Where the part begins: of <c>Range</c>.</summary>
        public long Offset { get; }

        /// <summary>What others may do: of <c>Access</c>.</summary>
        public RecordAccess Access { get; }

        /// <summary>The new owner, of <c>Owner</c>; who asks, of <c>OwnershipRequested</c>.</summary>
        public OwnerHash Owner { get; }

        /// <summary>Whether there are data: the whole record with <c>Changed</c>, the part with <c>Range</c>.</summary>
        public bool HasData => Bytes != null;

        /// <summary>The data; empty where there are none.</summary>
        public ReadOnlyMemory<byte> Data => Bytes;

        /// <summary>Whether it is the last change of its watch.</summary>
        public bool IsLast => Kind >= ChangeKind.Deleted;

        internal byte[]? Bytes { get; }

        internal bool IsAboutData => Kind <= ChangeKind.Range;

        /// <summary>The memory that it stands for, in bytes: 128 and its data.</summary>
        internal int Weight => 128 + (Bytes?.Length ?? 0);

        internal static RecordChange Of(ChangeKind kind) => new RecordChange(kind);

        internal static RecordChange Changed(ulong version, byte[]? data) =>
            new RecordChange(ChangeKind.Changed, version, bytes: data);

        internal static RecordChange Range(ulong version, long offset, byte[] data) =>
            new RecordChange(ChangeKind.Range, version, offset, data);

        internal static RecordChange OfAccess(RecordAccess access) => new RecordChange(ChangeKind.Access, access: access);

        internal static RecordChange OfOwner(ChangeKind kind, OwnerHash owner) => new RecordChange(kind, owner: owner);

        internal static RecordChange Resumed(ulong version) => new RecordChange(ChangeKind.Resumed, version);
    }
}
