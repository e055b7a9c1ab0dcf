#nullable enable

using System;

namespace NetSwap
{
    /// <summary>What clients other than the owner may do with a record (docs/PROTOCOL.md §1.5). The owner may do everything.</summary>
    [Flags]
    public enum RecordAccess : byte
    {
        /// <summary>Nothing.</summary>
        None = 0,

        /// <summary>Read the record, see its state, watch it, ask for its ownership.</summary>
        Read = 1,

        /// <summary>Change the data.</summary>
        Write = 2,

        /// <summary>Become the owner.</summary>
        Takeover = 4,

        /// <summary>Read and change the data.</summary>
        ReadWrite = Read | Write,

        /// <summary>Everything.</summary>
        All = Read | Write | Takeover,
    }
}
