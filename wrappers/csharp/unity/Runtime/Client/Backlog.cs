#nullable enable

using System.Collections.Generic;

namespace NetSwap.Client
{
    /// <summary>
    /// The changes of one watch that the application has not taken: bounded, so that a slow application neither costs memory
    /// nor holds up the connection that its watches share.
    /// </summary>
    internal sealed class Backlog
    {
        // Changes that wait at most, before they are folded.
        private const int ChangesAtMost = 256;

        // Bytes of data in them at most, beside the newest whole state of the record.
        private const long BytesAtMost = 1024 * 1024;

        private readonly Queue<RecordChange> changes = new Queue<RecordChange>();
        private long bytes;

        // How many of them are about data.
        private int ofData;

        /// <summary>Takes the oldest change.</summary>
        public bool TryPop(out RecordChange change)
        {
            if (changes.Count == 0)
            {
                change = default;
                return false;
            }

            change = changes.Dequeue();
            Count(change, -1);
            return true;
        }

        /// <summary>Throws everything away.</summary>
        public void Clear()
        {
            changes.Clear();
            bytes = 0;
            ofData = 0;
        }

        /// <summary>
        /// Adds a change. When there are too many, they are folded as a server folds them: the newest state of the data, and the
        /// newest of everything else. Ranges can be folded into a state that waits before them. <c>false</c> where that was
        /// taken already: then the record has to be told whole again.
        /// </summary>
        public bool Push(in RecordChange change)
        {
            Add(change);
            bool over = changes.Count > ChangesAtMost || (bytes > BytesAtMost && ofData > 1);
            return !over || Fold();
        }

        private void Add(in RecordChange change)
        {
            changes.Enqueue(change);
            Count(change, 1);
        }

        private void Count(in RecordChange change, int sign)
        {
            bytes += sign * change.Data.Length;
            ofData += change.IsAboutData ? sign : 0;
        }

        private bool Fold()
        {
            RecordChange? watching = null;
            RecordChange? data = null;
            Replica? whole = null;
            bool isTorn = false;
            var others = new List<RecordChange>();
            foreach (RecordChange change in changes)
            {
                switch (change.Kind)
                {
                    case ChangeKind.Changed:
                        data = change;
                        whole = null;
                        if (change.HasData)
                        {
                            whole = new Replica();
                            whole.Apply(change, true);
                            isTorn = false;
                        }

                        break;
                    case ChangeKind.Range:
                        isTorn |= whole == null;
                        whole?.Apply(change);
                        break;
                    case ChangeKind.Interrupted:
                    case ChangeKind.Resumed:
                        watching = change;
                        break;
                    default:
                        // The newest of each sort, in the order in which they came.
                        others.RemoveAll(other => other.Kind == change.Kind);
                        others.Add(change);
                        break;
                }
            }

            Clear();
            if (watching.HasValue)
            {
                Add(watching.Value);
            }

            if (whole != null)
            {
                Add(RecordChange.Changed(whole.Version, whole.ToArray()));
            }
            else if (data.HasValue)
            {
                Add(data.Value);
            }

            others.ForEach(other => Add(other));
            return !isTorn;
        }
    }
}
