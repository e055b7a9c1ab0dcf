#nullable enable

namespace NetSwap
{
    /// <summary>A whole record with its version.</summary>
    public readonly struct RecordSnapshot
    {
        internal RecordSnapshot(ulong version, byte[] data)
        {
            Version = version;
            Data = data;
        }

        /// <summary>The version of the data.</summary>
        public ulong Version { get; }

        /// <summary>The data.</summary>
        public byte[] Data { get; }
    }

    /// <summary>A part of a record (docs/PROTOCOL.md §3.15).</summary>
    public readonly struct RecordRange
    {
        internal RecordRange(ulong version, long recordLength, byte[] data)
        {
            Version = version;
            RecordLength = recordLength;
            Data = data;
        }

        /// <summary>The version of the data.</summary>
        public ulong Version { get; }

        /// <summary>Bytes of the whole record.</summary>
        public long RecordLength { get; }

        /// <summary>The bytes that were asked for, as far as the record has them.</summary>
        public byte[] Data { get; }
    }

    /// <summary>What an append did (docs/PROTOCOL.md §3.17).</summary>
    public readonly struct AppendResult
    {
        internal AppendResult(ulong version, long offset)
        {
            Version = version;
            Offset = offset;
        }

        /// <summary>The new version.</summary>
        public ulong Version { get; }

        /// <summary>Where in the record the data begin.</summary>
        public long Offset { get; }
    }

    /// <summary>What an addition made (docs/PROTOCOL.md §3.19).</summary>
    public readonly struct AddResult
    {
        internal AddResult(ulong version, long value)
        {
            Version = version;
            Value = value;
        }

        /// <summary>The new version.</summary>
        public ulong Version { get; }

        /// <summary>The sum.</summary>
        public long Value { get; }
    }
}
