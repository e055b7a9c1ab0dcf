#nullable enable

using System;
using System.Buffers;
using NetSwap.Wire;

namespace NetSwap.Connections
{
    /// <summary>
    /// A reply or notification of which the first header has arrived. Memory follows the bytes that arrive, not REMAINING.
    /// It can be used again for the next message.
    /// </summary>
    internal sealed class Incoming
    {
        // A piece of a download is handed out as soon as it has this many bytes.
        private const int Piece = 64 * 1024;

        // The first memory of a message of several packets.
        private const int First = 64 * 1024;

        // Memory grows to four times what has arrived up to this, and to twice beyond.
        private const int Steep = 4 * 1024 * 1024;

        /// <summary>The longest array of bytes that there can be.</summary>
        public const long LongestArray = 0x7FFFFFC7;

        private readonly byte[] fields = new byte[32];
        private int fieldsLength;
        private int fieldsRead;

        // REMAINING of the packet that must come next; 0 after the last.
        private uint next;
        private byte[] data = Array.Empty<byte>();
        private int length;
        private bool pieces;
        private ReadOnlyMemory<byte> echo;
        private bool hasEcho;

        public byte Code { get; private set; }

        public byte Access { get; private set; }

        /// <summary>Bytes of data in the whole message.</summary>
        public long Total { get; private set; }

        /// <summary>Bytes of data that were handed out as pieces.</summary>
        public long HandedOut { get; private set; }

        /// <summary>Whether the bytes of a PING did not come back as they were.</summary>
        public bool Differs { get; private set; }

        /// <summary>Whether it is the data of a record.</summary>
        public bool IsRecord => Code == (byte)ReplyCode.Resolved;

        /// <summary>What has a fixed length and stands before the data.</summary>
        public ReadOnlySpan<byte> Fields => fields.AsSpan(0, fieldsRead);

        /// <summary>Bytes of data that are here and were not handed out.</summary>
        public int Available => length;

        /// <summary>Begins a message.</summary>
        public void Begin(in Packet header, Lengths lengths, bool inPieces)
        {
            Code = header.Code;
            Access = header.Access;
            Total = lengths.DataIn(header.Remaining);
            fieldsLength = (int)(header.Remaining - Total);
            pieces = inPieces;
            Start(header);
        }

        /// <summary>Begins the answer to a PING, which must be these bytes.</summary>
        public void BeginEcho(in Packet header, ReadOnlyMemory<byte> expected)
        {
            Code = header.Code;
            Access = header.Access;
            Total = header.Remaining;
            fieldsLength = 0;
            pieces = false;
            Start(header);
            hasEcho = true;
            echo = expected;
        }

        /// <summary>Whether this packet is the message's next (docs/PROTOCOL.md §2.2).</summary>
        public bool GoesOnWith(in Packet header)
        {
            bool fits = next > 0 && header.Remaining == next && header.Code == Code && header.Access == Access;
            next = next > Packet.MaxPayload ? next - Packet.MaxPayload : 0;
            return fits;
        }

        /// <summary>Takes bytes that arrived. <c>false</c> where there can be no array for so many.</summary>
        public bool Take(ReadOnlySpan<byte> input)
        {
            if (fieldsRead < fieldsLength)
            {
                int take = Math.Min(input.Length, fieldsLength - fieldsRead);
                input.Slice(0, take).CopyTo(fields.AsSpan(fieldsRead));
                fieldsRead += take;
                input = input.Slice(take);
            }

            if (input.IsEmpty)
            {
                return true;
            }

            if (hasEcho)
            {
                Differs |= input.Length > echo.Length || !input.SequenceEqual(echo.Span.Slice(0, input.Length));
                echo = echo.Slice(Math.Min(input.Length, echo.Length));
                return true;
            }

            if ((long)length + input.Length > LongestArray)
            {
                return false;
            }

            if (length + input.Length > data.Length)
            {
                Grow(length + input.Length);
            }

            input.CopyTo(data.AsSpan(length));
            length += input.Length;
            return true;
        }

        /// <summary>Whether there are bytes enough for a piece.</summary>
        public bool HasPiece => pieces && length >= Piece;

        /// <summary>
        /// The data that were not handed out, which from now on are the caller's: as many as <see cref="Available"/> says.
        /// The memory of pieces is rented; that of whole messages has exactly their length.
        /// </summary>
        public byte[] Rest()
        {
            byte[] rest = data;
            HandedOut += length;
            data = Array.Empty<byte>();
            length = 0;
            return rest;
        }

        /// <summary>Frees what is here.</summary>
        public void Forget()
        {
            if (pieces && data.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(data);
            }

            data = Array.Empty<byte>();
            length = 0;
            echo = default;
            hasEcho = false;
        }

        private void Start(in Packet header)
        {
            next = header.IsLast ? 0 : header.Remaining - Packet.MaxPayload;
            fieldsRead = 0;
            data = Array.Empty<byte>();
            length = 0;
            HandedOut = 0;
            Differs = false;
            hasEcho = false;
            echo = default;
        }

        private void Grow(int needed)
        {
            long left = Total - HandedOut;
            byte[] room;
            if (pieces)
            {
                room = ArrayPool<byte>.Shared.Rent((int)Math.Min(left, Piece + Packet.MaxPayload));
            }
            else
            {
                long most = left > First ? Math.Max(First, (long)needed * (needed < Steep ? 4 : 2)) : left;
                room = new byte[Math.Min(left, Math.Min(most, LongestArray))];
            }

            data.AsSpan(0, length).CopyTo(room);
            if (pieces && data.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(data);
            }

            data = room;
        }
    }
}
