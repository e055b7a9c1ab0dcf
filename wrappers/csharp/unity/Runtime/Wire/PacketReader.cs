#nullable enable

using System;

namespace NetSwap.Wire
{
    /// <summary>
    /// Cuts a stream of bytes into packets, however it arrives. The first fragment of a packet comes as soon as its ten
    /// header bytes are there, so that a header can be judged before any payload; a packet that has arrived whole is a
    /// single fragment.
    /// </summary>
    internal sealed class PacketReader
    {
        private readonly byte[] partial = new byte[Packet.HeaderLength];
        private int partialLength;

        // Bytes of the packet's payload that have not arrived; -1 between packets.
        private int left = -1;

        /// <summary>The header of the fragment's packet.</summary>
        public Packet Packet { get; private set; }

        /// <summary>Whether the fragment is its packet's first.</summary>
        public bool Opens { get; private set; }

        /// <summary>Whether the packet is complete with the fragment.</summary>
        public bool Closes { get; private set; }

        /// <summary>Where in the input the fragment's payload begins.</summary>
        public int Start { get; private set; }

        /// <summary>Where in the input the fragment ends, and the next begins.</summary>
        public int End { get; private set; }

        /// <summary>Finds the fragment that begins at <paramref name="at"/>. <c>false</c> when the input is used up.</summary>
        public bool Next(ReadOnlySpan<byte> input, int at)
        {
            Opens = left < 0;
            if (Opens)
            {
                if (!TakeHeader(input, ref at))
                {
                    return false;
                }

                left = Packet.PayloadLength;
            }
            else if (at >= input.Length)
            {
                return false;
            }

            int here = Math.Min(input.Length - at, left);
            Start = at;
            End = at + here;
            left -= here;
            Closes = left == 0;
            if (Closes)
            {
                left = -1;
            }

            return true;
        }

        private bool TakeHeader(ReadOnlySpan<byte> input, ref int at)
        {
            if (partialLength == 0 && input.Length - at >= Packet.HeaderLength)
            {
                Packet = Packet.Read(input.Slice(at));
                at += Packet.HeaderLength;
                return true;
            }

            int take = Math.Min(input.Length - at, Packet.HeaderLength - partialLength);
            input.Slice(at, take).CopyTo(partial.AsSpan(partialLength));
            partialLength += take;
            at += take;
            if (partialLength < Packet.HeaderLength)
            {
                return false;
            }

            partialLength = 0;
            Packet = Packet.Read(partial);
            return true;
        }
    }
}
