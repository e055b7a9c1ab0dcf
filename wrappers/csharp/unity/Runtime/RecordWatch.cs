#nullable enable

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;

namespace NetSwap
{
    /// <summary>What a watch tells of the data of its record.</summary>
    public enum WatchMode
    {
        /// <summary>That they have changed, with their version.</summary>
        Versions,

        /// <summary>What has changed: the whole record at first, then parts, or the whole again.</summary>
        Changes,

        /// <summary>The same; and <see cref="RecordWatch.Data"/> are a copy of the record that is kept up to date.</summary>
        Copy,
    }

    /// <summary>
    /// A record that is watched (WATCH_RECORD, docs/PROTOCOL.md §3.21): its changes one after the other, as an async
    /// enumerable. It begins when it is enumerated or <see cref="StartAsync">started</see>, and ends when it is disposed of,
    /// which <c>await foreach</c> does, with its token, or with the record. It outlives its connection.
    /// </summary>
    /// <remarks>
    /// What is not taken waits, up to 256 changes or 1 MiB of data beside the newest state; what is more folds into the newest
    /// state. One enumeration, by one caller at a time; <see cref="Data"/> belongs to that caller too.
    /// </remarks>
    public sealed class RecordWatch : IAsyncEnumerable<RecordChange>, IAsyncEnumerator<RecordChange>, IAsyncDisposable
    {
        private readonly Session session;
        private readonly CancellationToken token;
        private readonly Replica replica = new Replica();
        private readonly WatchMode mode;
        private CancellationTokenSource? both;
        private WatchState? state;
        private Task<ulong>? started;
        private RecordChange current;
        private int isBusy;
        private bool isDisposed;

        internal RecordWatch(Session session, NetworkPointer pointer, WatchMode mode, CancellationToken token)
        {
            this.session = session;
            this.mode = mode;
            this.token = token;
            Pointer = pointer;
        }

        /// <summary>The record.</summary>
        public NetworkPointer Pointer { get; }

        /// <summary>The change that the enumeration is at.</summary>
        public RecordChange Current => current;

        /// <summary>
        /// The copy of the record, of a watch in the mode <see cref="WatchMode.Copy"/>: with all changes that were enumerated in
        /// it. It stays as it is until the next change is enumerated: <see cref="Snapshot"/> is for longer.
        /// </summary>
        public ReadOnlyMemory<byte> Data => replica.Data;

        /// <summary>The version of the copy: 0 where the record has no data yet.</summary>
        public ulong Version => replica.Version;

        /// <summary>
        /// Whether the copy follows the record, as far as is known: not before the first state, not between
        /// <see cref="ChangeKind.Interrupted"/> or <see cref="ChangeKind.Resumed"/> and the data that come after it, and not
        /// after the end.
        /// </summary>
        public bool IsLive { get; private set; }

        /// <summary>The copy in memory that is not written to any more. It costs a copy only if a part is written after it.</summary>
        public ReadOnlyMemory<byte> Snapshot() => replica.Share();

        /// <summary>
        /// Begins to watch, if that has not begun, and tells the version that the record had then: 0 where it has no data yet.
        /// </summary>
        /// <exception cref="NetSwapException">The server does not allow it, or there is no connection.</exception>
        /// <exception cref="CallCanceledException">The token of the watch says so.</exception>
        public ValueTask<ulong> StartAsync() => new ValueTask<ulong>(started ??= BeginAsync());

        /// <summary>The enumeration of the changes, of which there is one.</summary>
        /// <param name="cancellationToken">Ends the watch.</param>
        public IAsyncEnumerator<RecordChange> GetAsyncEnumerator(CancellationToken cancellationToken = default)
        {
            if (cancellationToken.CanBeCanceled && started == null)
            {
                both = CancellationTokenSource.CreateLinkedTokenSource(token, cancellationToken);
            }

            return this;
        }

        /// <summary>Waits for the next change. <c>false</c> after the last.</summary>
        /// <exception cref="NetSwapException">
        /// The watch has ended without the record's end: the client is closed, the connection is lost and not made again, or the
        /// record cannot be watched again on a new connection. It is thrown once.
        /// </exception>
        /// <exception cref="CallCanceledException">The token of the watch says so.</exception>
        public ValueTask<bool> MoveNextAsync() => MoveNextAsync(default);

        /// <summary>The next change, if there is one already.</summary>
        /// <param name="change">The change.</param>
        public bool TryMoveNext(out RecordChange change)
        {
            change = default;
            if (state == null || !state.TryNext(out change))
            {
                return false;
            }

            Apply(change);
            return true;
        }

        /// <summary>Watches no more. What was not taken is thrown away; the copy stays.</summary>
        public ValueTask DisposeAsync()
        {
            IsLive = false;
            using (session.Gate.Enter())
            {
                isDisposed = true;
                state?.Stop();
            }

            both?.Dispose();
            return default;
        }

        internal async ValueTask<bool> MoveNextAsync(CancellationToken once)
        {
            if (Interlocked.Exchange(ref isBusy, 1) != 0)
            {
                throw new InvalidOperationException("another caller waits for the next change of this watch");
            }

            try
            {
                await StartAsync().ConfigureAwait(false);
                RecordChange? next = await state!.NextAsync(once).ConfigureAwait(false);
                if (next == null)
                {
                    IsLive = false;
                    return false;
                }

                Apply(next.Value);
                return true;
            }
            catch (Exception error) when (!(error is CallCanceledException && once.IsCancellationRequested))
            {
                IsLive = false;
                throw;
            }
            finally
            {
                isBusy = 0;
            }
        }

        private async Task<ulong> BeginAsync()
        {
            CancellationToken cancellation = both?.Token ?? token;
            while (state == null)
            {
                if (cancellation.IsCancellationRequested)
                {
                    throw new CallCanceledException(cancellation, RequestOutcome.NotDone);
                }

                using (session.Gate.Enter())
                {
                    if (isDisposed)
                    {
                        throw new ObjectDisposedException(nameof(RecordWatch));
                    }

                    if (session.IsClosing)
                    {
                        throw Errors.Closed();
                    }

                    if (session.Link != null)
                    {
                        state = new WatchState(session.Watches, Pointer, mode != WatchMode.Versions);
                        state.Ask(session.Link);
                    }
                }

                if (state == null)
                {
                    await ConnectedCall.WaitAsync(session, cancellation).ConfigureAwait(false);
                }
            }

            if (cancellation.CanBeCanceled)
            {
                state.Listen(cancellation);
            }

            ulong version = await state.Begun.ConfigureAwait(false);
            IsLive = version == 0;
            return version;
        }

        private void Apply(in RecordChange change)
        {
            current = change;
            switch (change.Kind)
            {
                case ChangeKind.Changed:
                case ChangeKind.Range:
                    IsLive = mode == WatchMode.Copy;
                    if (mode == WatchMode.Copy)
                    {
                        // The data of a change are the application's too, so they are not written to.
                        replica.Apply(change);
                    }

                    break;
                case ChangeKind.Resumed:
                    IsLive = change.Version == 0;
                    break;
                case ChangeKind.Access:
                case ChangeKind.Owner:
                case ChangeKind.OwnershipRequested:
                    break;
                default:
                    IsLive = false;
                    break;
            }
        }
    }
}
