#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;

namespace NetSwap
{
    /// <summary>
    /// A copy of a record that is kept up to date: the newest data and their version, whatever was written, folded or missed
    /// (docs/PROTOCOL.md §4.3, §9.1). It moves on when it is asked, with <see cref="ChangedAsync"/>; between, the data stay as
    /// they are. Like a watch it goes on after a lost connection. It is for one caller at a time.
    /// </summary>
    public sealed class RecordMirror : IAsyncDisposable
    {
        private readonly RecordWatch watch;
        private ChangeKind? ended;

        private RecordMirror(RecordWatch watch)
        {
            this.watch = watch;
        }

        /// <summary>The record.</summary>
        public NetworkPointer Pointer => watch.Pointer;

        /// <summary>The data, until the mirror moves on: <see cref="Snapshot"/> is for longer.</summary>
        public ReadOnlyMemory<byte> Data => watch.Data;

        /// <summary>The version of the data: 0 where the record has none yet.</summary>
        public ulong Version => watch.Version;

        /// <summary>Whether the data follow the record, as far as is known: not while the connection is lost, nor after the end.</summary>
        public bool IsLive => watch.IsLive;

        /// <summary>The data in memory that is not written to any more. It costs a copy only if a part is written after it.</summary>
        public ReadOnlyMemory<byte> Snapshot() => watch.Snapshot();

        /// <summary>
        /// Waits until there are other data, moves on to the newest that are here, and tells their version. Where the copy did
        /// not follow its record, it waits until it does again.
        /// </summary>
        /// <param name="cancellationToken">Ends the wait, and not the mirror.</param>
        /// <exception cref="NetSwapException">
        /// The record is no more (<see cref="NetSwapErrorKind.Ended"/>), or the watch has ended without that. The data stay as
        /// they were last.
        /// </exception>
        public async ValueTask<ulong> ChangedAsync(CancellationToken cancellationToken = default)
        {
            // Of a copy that did not follow, any data are other data.
            ulong? before = IsLive ? Version : (ulong?)null;
            while (true)
            {
                if (ended.HasValue)
                {
                    throw Errors.EndedRecord(ended.Value);
                }

                if (!await watch.MoveNextAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw Errors.Closed();
                }

                bool isAboutData = false;
                RecordChange change = watch.Current;
                do
                {
                    isAboutData |= change.IsAboutData;
                    ended = change.IsLast ? change.Kind : ended;
                }
                while (watch.TryMoveNext(out change));

                if (isAboutData && Version != before)
                {
                    return Version;
                }
            }
        }

        /// <summary>Follows the record no more. The data stay.</summary>
        public ValueTask DisposeAsync() => watch.DisposeAsync();

        internal static async ValueTask<RecordMirror> OfAsync(RecordWatch watch)
        {
            var mirror = new RecordMirror(watch);
            try
            {
                await watch.StartAsync().ConfigureAwait(false);
                while (!mirror.IsLive)
                {
                    await mirror.ChangedAsync().ConfigureAwait(false);
                }

                return mirror;
            }
            catch
            {
                await watch.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }
    }
}
