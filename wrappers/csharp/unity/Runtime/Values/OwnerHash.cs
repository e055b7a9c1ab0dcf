#nullable enable

using System;

namespace NetSwap
{
    /// <summary>
    /// The 64 bits that stand for the IP address of a client, as the owner of records (docs/PROTOCOL.md §6.1): the address
    /// alone, so that everybody behind one NAT is one owner. The default, 0, is nobody.
    /// </summary>
    public readonly struct OwnerHash : IEquatable<OwnerHash>
    {
        /// <summary>Makes an owner of its 64 bits.</summary>
        /// <param name="value">The bits.</param>
        public OwnerHash(ulong value)
        {
            Value = value;
        }

        /// <summary>The 64 bits.</summary>
        public ulong Value { get; }

        /// <summary>Whether two owners are the same.</summary>
        /// <param name="left">One.</param>
        /// <param name="right">The other.</param>
        public static bool operator ==(OwnerHash left, OwnerHash right) => left.Value == right.Value;

        /// <summary>Whether two owners are not the same.</summary>
        /// <param name="left">One.</param>
        /// <param name="right">The other.</param>
        public static bool operator !=(OwnerHash left, OwnerHash right) => left.Value != right.Value;

        /// <summary>Reads an owner: 16 hexadecimal digits.</summary>
        /// <param name="text">The digits.</param>
        /// <exception cref="ArgumentNullException">There is no text.</exception>
        /// <exception cref="FormatException">It is something else.</exception>
        public static OwnerHash Parse(string text)
        {
            if (text == null)
            {
                throw new ArgumentNullException(nameof(text));
            }

            return TryParse(text, out OwnerHash owner)
                ? owner : throw new FormatException("an owner must be 16 hexadecimal digits");
        }

        /// <summary>Reads an owner as <see cref="Parse"/> does, and tells whether it is one.</summary>
        /// <param name="text">The digits.</param>
        /// <param name="owner">The owner.</param>
        public static bool TryParse(string? text, out OwnerHash owner)
        {
            bool read = Hexadecimal.TryParse(text, out ulong value);
            owner = new OwnerHash(value);
            return read;
        }

        /// <summary>The owner as 16 lower-case hexadecimal digits.</summary>
        public override string ToString() => Hexadecimal.Format(Value);

        /// <summary>Whether another owner is the same.</summary>
        /// <param name="other">The other.</param>
        public bool Equals(OwnerHash other) => Value == other.Value;

        /// <summary>Whether something is the same owner.</summary>
        /// <param name="obj">Whatever it is.</param>
        public override bool Equals(object? obj) => obj is OwnerHash other && Equals(other);

        /// <summary>A hash of the bits.</summary>
        public override int GetHashCode() => Value.GetHashCode();
    }
}
