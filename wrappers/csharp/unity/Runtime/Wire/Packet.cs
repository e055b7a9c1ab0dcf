#nullable enable

using System;
using System.Buffers.Binary;

namespace NetSwap.Wire
{
    /// <summary>The header of a packet (docs/PROTOCOL.md §2.1), and the limits that come with it.</summary>
    internal readonly struct Packet
    {
        /// <summary>Bytes of a packet's header.</summary>
        public const int HeaderLength = 10;

        /// <summary>The most bytes of payload in a packet; every packet of a message but its last has as many.</summary>
        public const int MaxPayload = 1390;

        /// <summary>The longest message in bytes of payload: REMAINING is a u32.</summary>
        public const long MaxMessage = uint.MaxValue;

        public Packet(uint xid, uint remaining, byte code, byte access)
        {
            Xid = xid;
            Remaining = remaining;
            Code = code;
            Access = access;
        }

        /// <summary>The transaction that the packet belongs to.</summary>
        public uint Xid { get; }

        /// <summary>Bytes of the message's payload from this packet on, its own included.</summary>
        public uint Remaining { get; }

        /// <summary>The operation, or the reply code.</summary>
        public byte Code { get; }

        /// <summary>Access bits, or a flag, kind or detail.</summary>
        public byte Access { get; }

        /// <summary>Whether this packet is its message's last.</summary>
        public bool IsLast => Remaining <= MaxPayload;

        /// <summary>Bytes of the packet's own payload.</summary>
        public int PayloadLength => IsLast ? (int)Remaining : MaxPayload;

        /// <summary>Reads the ten bytes of a header.</summary>
        public static Packet Read(ReadOnlySpan<byte> from)
        {
            ushort codeAndAccess = BinaryPrimitives.ReadUInt16BigEndian(from.Slice(8));
            return new Packet(
                BinaryPrimitives.ReadUInt32BigEndian(from), BinaryPrimitives.ReadUInt32BigEndian(from.Slice(4)),
                (byte)(codeAndAccess >> 8), (byte)codeAndAccess);
        }

        /// <summary>Writes the ten bytes of a header.</summary>
        public void Write(Span<byte> into)
        {
            BinaryPrimitives.WriteUInt32BigEndian(into, Xid);
            BinaryPrimitives.WriteUInt32BigEndian(into.Slice(4), Remaining);
            into[8] = Code;
            into[9] = Access;
        }
    }
}
