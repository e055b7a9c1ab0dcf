#nullable enable

using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace NetSwap.Wire
{
    /// <summary>
    /// Reads complete replies and notifications, of which <see cref="ReplyRules"/> allow the length. What has a fixed length
    /// stands in <c>fields</c>; data follow in memory of their own. <c>false</c> is for a field that has a value that it must
    /// not have.
    /// </summary>
    internal static class ReplyReader
    {
        private const uint NoEnd = uint.MaxValue;

        /// <summary>Reads a reply to an operation.</summary>
        public static bool TryRead(
            Opcode opcode, ReplyCode code, byte access, ReadOnlySpan<byte> fields, byte[] data, out Reply reply)
        {
            switch (code)
            {
                case ReplyCode.Ok:
                    return TryReadOk(opcode, fields, data, out reply);
                case ReplyCode.Resolved:
                    ulong version = fields.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(fields) : 0;
                    ulong length = fields.Length >= 12 ? BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(8)) : 0;
                    reply = new Reply(code, version, length, data);
                    return true;
                case ReplyCode.NotModified:
                    reply = new Reply(code);
                    return true;
                default:
                    Refusal? refusal = Refusal.Read(opcode, code, access, fields);
                    reply = new Reply(code, value: refusal);
                    return refusal != null;
            }
        }

        /// <summary>Reads a notification (docs/PROTOCOL.md §4.3).</summary>
        public static bool TryReadNotification(
            byte kind, ReadOnlySpan<byte> fields, byte[] data, bool push, out RecordChange change)
        {
            change = default;
            switch (kind)
            {
                case 1:
                    ulong whole = BinaryPrimitives.ReadUInt64BigEndian(fields);
                    change = RecordChange.Changed(whole, push ? data : null);
                    return true;
                case 2:
                    ulong version = BinaryPrimitives.ReadUInt64BigEndian(fields);
                    change = RecordChange.Range(version, BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(8)), data);
                    return true;
                case 3:
                    change = RecordChange.OfAccess((RecordAccess)ByteAt(fields, 0));
                    return ByteAt(fields, 0) <= (byte)RecordAccess.All;
                case 4:
                case 5:
                    var owner = new OwnerHash(BinaryPrimitives.ReadUInt64BigEndian(fields));
                    change = RecordChange.OfOwner(kind == 4 ? ChangeKind.Owner : ChangeKind.OwnershipRequested, owner);
                    return owner.Value != 0;
                case 16:
                    change = RecordChange.Of(ChangeKind.Deleted);
                    return true;
                case 17:
                    change = RecordChange.Of(ChangeKind.Expired);
                    return true;
                case 18:
                    change = RecordChange.Of(ChangeKind.AccessLost);
                    return true;
                default:
                    return false;
            }
        }

        private static bool TryReadOk(Opcode opcode, ReadOnlySpan<byte> fields, byte[] data, out Reply reply)
        {
            switch (opcode)
            {
                case Opcode.Identify:
                    return TryReadIdentity(fields, out reply);
                case Opcode.StatRecord:
                    return TryReadStat(fields, out reply);
                case Opcode.ListRecords:
                    reply = new Reply(ReplyCode.Ok, value: ReadPointers(data));
                    return true;
                case Opcode.FetchAdd:
                    reply = new Reply(
                        ReplyCode.Ok, BinaryPrimitives.ReadUInt64BigEndian(fields),
                        BinaryPrimitives.ReadUInt64BigEndian(fields.Slice(8)));
                    return true;
                default:
                    ulong first = fields.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(fields) : 0;
                    ulong offset = fields.Length >= 12 ? BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(8)) : 0;
                    reply = new Reply(ReplyCode.Ok, first, offset);
                    return true;
            }
        }

        private static bool TryReadIdentity(ReadOnlySpan<byte> fields, out Reply reply)
        {
            var owner = new OwnerHash(BinaryPrimitives.ReadUInt64BigEndian(fields));
            reply = new Reply(ReplyCode.Ok, value: new ServerIdentity(
                owner,
                BinaryPrimitives.ReadUInt16BigEndian(fields.Slice(8)),
                BinaryPrimitives.ReadUInt16BigEndian(fields.Slice(10)),
                BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(12)),
                TimeSpan.FromSeconds(BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(16)))));
            return owner.Value != 0;
        }

        private static bool TryReadStat(ReadOnlySpan<byte> fields, out Reply reply)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(fields);
            ulong version = BinaryPrimitives.ReadUInt64BigEndian(fields.Slice(4));
            var owner = new OwnerHash(BinaryPrimitives.ReadUInt64BigEndian(fields.Slice(12)));
            byte access = ByteAt(fields, 20);
            byte state = ByteAt(fields, 21);
            uint expires = BinaryPrimitives.ReadUInt32BigEndian(fields.Slice(22));
            TimeSpan? end = expires == NoEnd ? (TimeSpan?)null : TimeSpan.FromSeconds(expires);
            reply = new Reply(
                ReplyCode.Ok, value: new RecordStat(length, version, owner, (RecordAccess)access, state == 1, end));
            return owner.Value != 0 && access <= (byte)RecordAccess.All && state <= 1;
        }

        // Compilers refuse the indexer of Mono's ReadOnlySpan.
        private static byte ByteAt(ReadOnlySpan<byte> fields, int at) => MemoryMarshal.Read<byte>(fields.Slice(at));

        private static NetworkPointer[] ReadPointers(byte[] data)
        {
            var pointers = new NetworkPointer[data.Length / 8];
            for (int index = 0; index < pointers.Length; index++)
            {
                pointers[index] = new NetworkPointer(BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(index * 8)));
            }

            return pointers;
        }
    }
}
