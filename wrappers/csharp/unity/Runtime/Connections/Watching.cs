#nullable enable

namespace NetSwap.Connections
{
    /// <summary>What is known of a watch: its OK, and the version that it was told last (docs/PROTOCOL.md §3.21, §4.3).</summary>
    internal sealed class Watching
    {
        private ulong version;

        // Whether it was given the record, so that ranges can follow.
        private bool given;

        public Watching(bool push)
        {
            Push = push;
        }

        /// <summary>Whether notifications carry data.</summary>
        public bool Push { get; }

        /// <summary>Whether its OK has come.</summary>
        public bool HasBegun { get; private set; }

        /// <summary>Its OK has come, with the record's version.</summary>
        public void Begin(ulong current)
        {
            HasBegun = true;
            version = current;
        }

        /// <summary>Judges a notification by what was told before: versions do not go backwards, and ranges miss none.</summary>
        public bool Follows(in RecordChange change)
        {
            if (change.Kind == ChangeKind.Changed)
            {
                bool fits = change.Version >= version && change.Version > 0;
                version = change.Version;
                given = Push;
                return fits;
            }

            if (change.Kind == ChangeKind.Range)
            {
                bool fits = given && change.Version == version + 1
                    && change.Offset + change.Data.Length <= uint.MaxValue;
                version = change.Version;
                return fits;
            }

            return true;
        }
    }
}
