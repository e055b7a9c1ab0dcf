#nullable enable

using System;

namespace NetSwap.Wire
{
    /// <summary>A complete reply. Which fields it has depends on its code and the operation (<see cref="ReplyReader"/>).</summary>
    internal readonly struct Reply
    {
        public Reply(ReplyCode code, ulong first = 0, ulong second = 0, byte[]? data = null, object? value = null)
        {
            Code = code;
            First = first;
            Second = second;
            Data = data ?? Array.Empty<byte>();
            Value = value;
        }

        public ReplyCode Code { get; }

        /// <summary>The pointer, or the version.</summary>
        public ulong First { get; }

        /// <summary>The offset, the length of the record, or the bits of the value.</summary>
        public ulong Second { get; }

        /// <summary>The data of a record, in memory of their own.</summary>
        public byte[] Data { get; }

        /// <summary>The identity, the state, the pointers, or the refusal.</summary>
        public object? Value { get; }

        /// <summary>Why the server refused, if it did.</summary>
        public Refusal? Refusal => Value as Refusal;
    }
}
