#nullable enable

namespace NetSwap.Wire
{
    /// <summary>The lengths that a reply may have: exactly so many bytes, or at least so many; a list has whole pointers.</summary>
    internal readonly struct Lengths
    {
        /// <summary>No length: there can be no such reply.</summary>
        public static readonly Lengths None = default;

        private readonly bool exists;
        private readonly bool open;
        private readonly int unit;

        private Lengths(long fixedLength, bool open, int unit)
        {
            exists = true;
            Fixed = fixedLength;
            this.open = open;
            this.unit = unit;
        }

        /// <summary>Bytes of what every such reply has.</summary>
        public long Fixed { get; }

        /// <summary>Whether there is any length that is allowed.</summary>
        public bool Exist => exists;

        public static Lengths Exactly(long length) => new Lengths(length, false, 1);

        public static Lengths AtLeast(long length, int unit = 1) => new Lengths(length, true, unit);

        /// <summary>Whether a reply may have this length.</summary>
        public bool Allow(long length) =>
            exists && (open ? length >= Fixed && (length - Fixed) % unit == 0 : length == Fixed);

        /// <summary>How many bytes of a reply of this length are the record's, or whatever else has no fixed length.</summary>
        public long DataIn(long length) => open ? length - Fixed : 0;
    }
}
