#nullable enable

using System;

namespace NetSwap
{
    /// <summary>
    /// A network pointer: the 64 bits that address a record. Send it to others over whatever channel you have, as
    /// <see cref="Value"/> or as text. The default is pointer 0, at which there is never a record.
    /// </summary>
    public readonly struct NetworkPointer : IEquatable<NetworkPointer>
    {
        private const string Scheme = "netswap://";

        /// <summary>Makes a pointer of its 64 bits.</summary>
        /// <param name="value">The bits.</param>
        public NetworkPointer(ulong value)
        {
            Value = value;
        }

        /// <summary>The 64 bits.</summary>
        public ulong Value { get; }

        /// <summary>Whether two pointers are the same.</summary>
        /// <param name="left">One.</param>
        /// <param name="right">The other.</param>
        public static bool operator ==(NetworkPointer left, NetworkPointer right) => left.Value == right.Value;

        /// <summary>Whether two pointers are not the same.</summary>
        /// <param name="left">One.</param>
        /// <param name="right">The other.</param>
        public static bool operator !=(NetworkPointer left, NetworkPointer right) => left.Value != right.Value;

        /// <summary>
        /// Reads a pointer: 16 hexadecimal digits, or the URL <c>netswap://HOST:PORT/POINTER</c> (docs/PROTOCOL.md §1.4).
        /// </summary>
        /// <param name="text">The digits or the URL.</param>
        /// <exception cref="ArgumentNullException">There is no text.</exception>
        /// <exception cref="FormatException">It is something else.</exception>
        public static NetworkPointer Parse(string text)
        {
            if (text == null)
            {
                throw new ArgumentNullException(nameof(text));
            }

            return TryParse(text, out NetworkPointer pointer)
                ? pointer : throw new FormatException("a pointer must be 16 hexadecimal digits");
        }

        /// <summary>Reads a pointer as <see cref="Parse"/> does, and tells whether it is one.</summary>
        /// <param name="text">The digits or the URL.</param>
        /// <param name="pointer">The pointer.</param>
        public static bool TryParse(string? text, out NetworkPointer pointer)
        {
            if (text != null && text.StartsWith(Scheme, StringComparison.Ordinal))
            {
                text = text.Substring(text.LastIndexOf('/') + 1);
            }

            bool read = Hexadecimal.TryParse(text, out ulong value);
            pointer = new NetworkPointer(value);
            return read;
        }

        /// <summary>The pointer as 16 lower-case hexadecimal digits.</summary>
        public override string ToString() => Hexadecimal.Format(Value);

        /// <summary>Whether another pointer is the same.</summary>
        /// <param name="other">The other.</param>
        public bool Equals(NetworkPointer other) => Value == other.Value;

        /// <summary>Whether something is the same pointer.</summary>
        /// <param name="obj">Whatever it is.</param>
        public override bool Equals(object? obj) => obj is NetworkPointer other && Equals(other);

        /// <summary>A hash of the bits.</summary>
        public override int GetHashCode() => Value.GetHashCode();
    }
}
