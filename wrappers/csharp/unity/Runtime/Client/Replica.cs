#nullable enable

using System;
using NetSwap.Connections;

namespace NetSwap.Client
{
    /// <summary>
    /// A copy of a record, kept up to date by what a watch with data tells (docs/PROTOCOL.md §4.3). Memory that somebody else
    /// may have is never written to: ranges go into memory of its own, with room to grow.
    /// </summary>
    internal sealed class Replica
    {
        private byte[] memory = Array.Empty<byte>();
        private int length;

        // Whether the memory is this copy's alone.
        private bool isOwn;

        /// <summary>The version of the data: 0 where there are none yet.</summary>
        public ulong Version { get; private set; }

        /// <summary>The data: a view of the copy, which changes with what is applied.</summary>
        public ReadOnlyMemory<byte> Data => new ReadOnlyMemory<byte>(memory, 0, length);

        /// <summary>The data in an array of their own length, which may be the copy's.</summary>
        public byte[] ToArray() => length == memory.Length ? memory : Data.ToArray();

        /// <summary>The data as a snapshot that stays as it is: the next range is written to other memory.</summary>
        public ReadOnlyMemory<byte> Share()
        {
            isOwn = false;
            return Data;
        }

        /// <summary>
        /// Applies a change, the next in turn. With <paramref name="own"/> the data of a whole state are nobody else's, and may
        /// be written to.
        /// </summary>
        public void Apply(in RecordChange change, bool own = false)
        {
            if (change.Bytes == null)
            {
                return;
            }

            if (change.Kind == ChangeKind.Changed)
            {
                Version = change.Version;
                memory = change.Bytes;
                length = memory.Length;
                isOwn = own;
            }
            else if (change.Kind == ChangeKind.Range)
            {
                Version = change.Version;
                Write((int)change.Offset, change.Bytes);
            }
        }

        // Writes a range; what lies between the old end and its beginning becomes zeros.
        private void Write(int offset, byte[] data)
        {
            int end = Math.Max(offset + data.Length, length);
            if (!isOwn || end > memory.Length)
            {
                int room = end > length ? (int)Math.Min((long)end + (end >> 3), Incoming.LongestArray) : end;
                var next = new byte[room];
                memory.AsSpan(0, length).CopyTo(next);
                memory = next;
                isOwn = true;
            }

            if (offset > length)
            {
                memory.AsSpan(length, offset - length).Clear();
            }

            data.CopyTo(memory, offset);
            length = end;
        }
    }
}
