using System;
using System.Buffers.Binary;
using System.Net;

namespace NetSwap.Examples
{
    /// <summary>
    /// The state of the game, a record that all players watch: where the host listens (4 bytes of address, 2 of port), and a
    /// score of 4 bytes for each player.
    /// </summary>
    internal static class GameState
    {
        public const int Players = 4;
        public const int Length = HostLength + (4 * Players);
        private const int HostLength = 6;

        public static byte[] HostBytes(IPEndPoint host)
        {
            var bytes = new byte[HostLength];
            host.Address.GetAddressBytes().CopyTo(bytes, 0);
            BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(4), (ushort)host.Port);
            return bytes;
        }

        public static IPEndPoint Host(ReadOnlySpan<byte> state) => new IPEndPoint(
            new IPAddress(state.Slice(0, 4).ToArray()), BinaryPrimitives.ReadUInt16BigEndian(state.Slice(4)));

        public static int ScoreOffset(int player) => HostLength + (4 * (player - 1));

        public static int Score(ReadOnlySpan<byte> state, int player) =>
            BinaryPrimitives.ReadInt32BigEndian(state.Slice(ScoreOffset(player)));

        public static byte[] ScoreBytes(int score)
        {
            var bytes = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(bytes, score);
            return bytes;
        }
    }

    /// <summary>
    /// What goes over the game's own channel, here UDP: datagrams of a few bytes. The level does not: its pointer does.
    /// </summary>
    internal static class Message
    {
        public const byte Join = 1;
        public const byte Joined = 2;
        public const byte Move = 3;
        public const byte Alive = 4;

        /// <summary>Bytes of the answer to a join: its kind and two pointers.</summary>
        public const int JoinedLength = 17;

        public static byte[] OfJoined(NetworkPointer level, NetworkPointer state)
        {
            var bytes = new byte[JoinedLength];
            bytes[0] = Joined;
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(1), level.Value);
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(9), state.Value);
            return bytes;
        }

        public static NetworkPointer Pointer(byte[] joined, int at) =>
            new NetworkPointer(BinaryPrimitives.ReadUInt64BigEndian(joined.AsSpan(at)));
    }
}
