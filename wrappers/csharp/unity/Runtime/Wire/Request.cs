#nullable enable

using System;
using System.Buffers.Binary;

namespace NetSwap.Wire
{
    /// <summary>
    /// A request: what its packets carry (docs/PROTOCOL.md §3.1). The operands stand first in the payload, at most 24 bytes
    /// of them; the data follow.
    /// </summary>
    internal readonly struct Request
    {
        // The operands in the order of the wire, eight bytes each; what does not fill the last is zeros.
        private readonly ulong first;
        private readonly ulong second;
        private readonly ulong third;

        private Request(
            Opcode opcode, byte access, int operandLength, ulong first = 0, ulong second = 0, ulong third = 0,
            Body body = default)
        {
            Opcode = opcode;
            Access = access;
            OperandLength = operandLength;
            this.first = first;
            this.second = second;
            this.third = third;
            Body = body;
        }

        public Opcode Opcode { get; }

        public byte Access { get; }

        /// <summary>Bytes of operands.</summary>
        public int OperandLength { get; }

        /// <summary>The data.</summary>
        public Body Body { get; }

        /// <summary>Bytes of payload.</summary>
        public long Length => OperandLength + Body.Length;

        /// <summary>How many bytes a READ_RANGE asks for; -1 for all other operations.</summary>
        public long Range => Opcode == Opcode.ReadRange ? (uint)second : -1;

        /// <summary>Whether a RESOLVE_IF_CHANGED says that its caller has nothing: there is nothing that could be unchanged.</summary>
        public bool HasNothing => Opcode == Opcode.ResolveIfChanged && second == 0;

        /// <summary>Whether a WATCH_RECORD asks for data.</summary>
        public bool Pushes => Opcode == Opcode.WatchRecord && Access == 1;

        /// <summary>Writes the operands.</summary>
        public void WriteOperands(Span<byte> into)
        {
            Span<byte> all = stackalloc byte[24];
            BinaryPrimitives.WriteUInt64BigEndian(all, first);
            BinaryPrimitives.WriteUInt64BigEndian(all.Slice(8), second);
            BinaryPrimitives.WriteUInt64BigEndian(all.Slice(16), third);
            all.Slice(0, OperandLength).CopyTo(into);
        }

        /// <summary>CREATE_RECORD (§3.4).</summary>
        public static Request CreateRecord(RecordAccess access, Body body) =>
            new Request(Opcode.CreateRecord, (byte)access, 0, body: body);

        /// <summary>UPDATE_RECORD_PERMISSIONS (§3.5).</summary>
        public static Request UpdateRecordPermissions(NetworkPointer pointer, RecordAccess access) =>
            new Request(Opcode.UpdateRecordPermissions, (byte)access, 8, pointer.Value);

        /// <summary>RESOLVE_POINTER (§3.6).</summary>
        public static Request ResolvePointer(NetworkPointer pointer) => Of(Opcode.ResolvePointer, pointer);

        /// <summary>REPLACE_RECORD (§3.7).</summary>
        public static Request ReplaceRecord(NetworkPointer pointer, Body body) =>
            new Request(Opcode.ReplaceRecord, 0, 8, pointer.Value, body: body);

        /// <summary>DELETE_RECORD (§3.8).</summary>
        public static Request DeleteRecord(NetworkPointer pointer) => Of(Opcode.DeleteRecord, pointer);

        /// <summary>TAKEOVER_RECORD (§3.9).</summary>
        public static Request TakeoverRecord(NetworkPointer pointer) => Of(Opcode.TakeoverRecord, pointer);

        /// <summary>TRANSFER_RECORD (§3.10).</summary>
        public static Request TransferRecord(NetworkPointer pointer, OwnerHash owner) =>
            new Request(Opcode.TransferRecord, 0, 16, pointer.Value, owner.Value);

        /// <summary>IDENTIFY (§3.11).</summary>
        public static Request Identify() => new Request(Opcode.Identify, 0, 0);

        /// <summary>PING (§3.12).</summary>
        public static Request Ping(ReadOnlyMemory<byte> data) => new Request(Opcode.Ping, 0, 0, body: Body.Of(data));

        /// <summary>STAT_RECORD (§3.13).</summary>
        public static Request StatRecord(NetworkPointer pointer) => Of(Opcode.StatRecord, pointer);

        /// <summary>LIST_RECORDS (§3.14).</summary>
        public static Request ListRecords() => new Request(Opcode.ListRecords, 0, 0);

        /// <summary>READ_RANGE (§3.15).</summary>
        public static Request ReadRange(NetworkPointer pointer, uint offset, uint length) =>
            new Request(Opcode.ReadRange, 0, 16, pointer.Value, ((ulong)offset << 32) | length);

        /// <summary>WRITE_RANGE (§3.16).</summary>
        public static Request WriteRange(NetworkPointer pointer, uint offset, Body body) =>
            new Request(Opcode.WriteRange, 0, 12, pointer.Value, (ulong)offset << 32, body: body);

        /// <summary>APPEND (§3.17).</summary>
        public static Request Append(NetworkPointer pointer, Body body) =>
            new Request(Opcode.Append, 0, 8, pointer.Value, body: body);

        /// <summary>COMPARE_AND_REPLACE (§3.18).</summary>
        public static Request CompareAndReplace(NetworkPointer pointer, ulong version, Body body) =>
            new Request(Opcode.CompareAndReplace, 0, 16, pointer.Value, version, body: body);

        /// <summary>FETCH_ADD (§3.19).</summary>
        public static Request FetchAdd(NetworkPointer pointer, uint offset, long delta)
        {
            ulong bits = unchecked((ulong)delta);
            return new Request(Opcode.FetchAdd, 0, 20, pointer.Value, ((ulong)offset << 32) | (bits >> 32), bits << 32);
        }

        /// <summary>RESOLVE_IF_CHANGED (§3.20).</summary>
        public static Request ResolveIfChanged(NetworkPointer pointer, ulong version) =>
            new Request(Opcode.ResolveIfChanged, 0, 16, pointer.Value, version);

        /// <summary>WATCH_RECORD, with the record's data or without (§3.21).</summary>
        public static Request WatchRecord(NetworkPointer pointer, bool push) =>
            new Request(Opcode.WatchRecord, push ? (byte)1 : (byte)0, 8, pointer.Value);

        /// <summary>RESERVE_RECORD (§3.22).</summary>
        public static Request ReserveRecord(RecordAccess access) => new Request(Opcode.ReserveRecord, (byte)access, 0);

        /// <summary>
        /// SET_LIFETIME in seconds: a grace of 0xFFFFFFFF is the server's default, a ttl or an heir of 0 is none (§3.23).
        /// </summary>
        public static Request SetLifetime(NetworkPointer pointer, uint grace, uint ttl, OwnerHash heir) =>
            new Request(Opcode.SetLifetime, 0, 24, pointer.Value, ((ulong)grace << 32) | ttl, heir.Value);

        /// <summary>REQUEST_OWNERSHIP (§3.24).</summary>
        public static Request RequestOwnership(NetworkPointer pointer) => Of(Opcode.RequestOwnership, pointer);

        private static Request Of(Opcode opcode, NetworkPointer pointer) => new Request(opcode, 0, 8, pointer.Value);
    }

    /// <summary>The data of a request: here already, or a length of data that are given piece by piece.</summary>
    internal readonly struct Body
    {
        private Body(ReadOnlyMemory<byte> data, long length, bool isStreamed)
        {
            Data = data;
            Length = length;
            IsStreamed = isStreamed;
        }

        public ReadOnlyMemory<byte> Data { get; }

        /// <summary>Bytes of data.</summary>
        public long Length { get; }

        public bool IsStreamed { get; }

        public static Body Of(ReadOnlyMemory<byte> data) => new Body(data, data.Length, false);

        public static Body Streamed(long length) => new Body(default, length, true);
    }
}
