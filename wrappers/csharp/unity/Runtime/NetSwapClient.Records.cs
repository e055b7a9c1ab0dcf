#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap
{
    /// <content>The calls that are about whole records.</content>
    public sealed partial class NetSwapClient
    {
        // The longest wait between two attempts of an update, in milliseconds, doubles from 1 to this.
        private const int LongestWait = 16;

        /// <summary>
        /// Makes a record of data, and gets its pointer (CREATE_RECORD, docs/PROTOCOL.md §3.4). The caller is its owner.
        /// </summary>
        /// <param name="data">The data. They must stay as they are until the call has ended.</param>
        /// <param name="access">What others may do with it.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The pointer, to be sent to others.</returns>
        /// <exception cref="NetSwapException">As of all calls, see <see cref="NetSwapClient"/>.</exception>
        public ValueTask<NetworkPointer> CreateAsync(
            ReadOnlyMemory<byte> data, RecordAccess access = RecordAccess.None, CancellationToken cancellationToken = default) =>
            session.CallAsync(
                Request.CreateRecord(Check.Access(access, nameof(access)), Body.Of(data)), PointerOf, cancellationToken);

        /// <summary>
        /// Makes a record that has no data yet, and gets its pointer, which can be sent on at once (RESERVE_RECORD,
        /// docs/PROTOCOL.md §3.22). The first write makes it like any other.
        /// </summary>
        /// <param name="access">What others may do with it.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The pointer, to be sent to others.</returns>
        public ValueTask<NetworkPointer> ReserveAsync(
            RecordAccess access = RecordAccess.None, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.ReserveRecord(Check.Access(access, nameof(access))), PointerOf, cancellationToken);

        /// <summary>
        /// Reads a record whole (RESOLVE_POINTER, docs/PROTOCOL.md §3.6). Of a reserved record it waits for the data, as long as
        /// any call may take; <see cref="ResolveWaitAsync"/> is for longer.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The data.</returns>
        public ValueTask<byte[]> ResolveAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.ResolvePointer(pointer), DataOf, cancellationToken);

        /// <summary>
        /// Reads a record whole, and waits for its data where it is reserved (docs/PROTOCOL.md §3.22). Once the data come, the
        /// time limit is that of every call.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="timeout">How long to wait; as long as the connection lasts where it is left out.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The data.</returns>
        public ValueTask<byte[]> ResolveWaitAsync(
            NetworkPointer pointer, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        {
            long wait = timeout.HasValue ? Check.Time(timeout.Value, nameof(timeout)) : Clock.Never;
            var options = new RequestOptions(session.Settings.RequestTimeout, wait);
            return session.CallAsync(Request.ResolvePointer(pointer), DataOf, cancellationToken, options);
        }

        /// <summary>
        /// Reads a record whole with its version, unless the version is the one that the caller has already
        /// (RESOLVE_IF_CHANGED, docs/PROTOCOL.md §3.20).
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="version">The version that the caller has; 0 for none.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The record, or <c>null</c> where it still has this version.</returns>
        public ValueTask<RecordSnapshot?> ResolveIfChangedAsync(
            NetworkPointer pointer, ulong version = 0, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.ResolveIfChanged(pointer, version), SnapshotOf, cancellationToken);

        /// <summary>Puts new data in the place of a record's old data (REPLACE_RECORD, docs/PROTOCOL.md §3.7).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="data">The data. They must stay as they are until the call has ended.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> ReplaceAsync(
            NetworkPointer pointer, ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.ReplaceRecord(pointer, Body.Of(data)), VersionOf, cancellationToken);

        /// <summary>
        /// Puts new data in the place of a record's old data if it still has this version; else it fails with the code
        /// <see cref="RefusalCode.VersionMismatch"/> (COMPARE_AND_REPLACE, docs/PROTOCOL.md §3.18).
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="version">The version to be replaced; 0 fits a reserved record.</param>
        /// <param name="data">The data. They must stay as they are until the call has ended.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> CompareAndReplaceAsync(
            NetworkPointer pointer, ulong version, ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.CompareAndReplace(pointer, version, Body.Of(data)), VersionOf, cancellationToken);

        /// <summary>
        /// Changes a record by what it holds: reads it, has <paramref name="change"/> make new data of the old, and puts these in
        /// their place if nobody has written meanwhile; otherwise it begins again (docs/PROTOCOL.md §9.3).
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="change">
        /// Makes the new data, in the thread pool, once or more often. What it throws is what the call fails with.
        /// </param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> UpdateAsync(
            NetworkPointer pointer, Func<byte[], ReadOnlyMemory<byte>> change, CancellationToken cancellationToken = default)
        {
            Check.NotNull(change, nameof(change));
            return UpdateAsync(
                pointer, (data, token) => new ValueTask<ReadOnlyMemory<byte>>(change(data)), cancellationToken);
        }

        /// <summary>As the other overload, with new data that may take their time.</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="change">Makes the new data, in the thread pool, once or more often.</param>
        /// <param name="cancellationToken">Gives the call up; it is what <paramref name="change"/> gets too.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> UpdateAsync(
            NetworkPointer pointer, Func<byte[], CancellationToken, ValueTask<ReadOnlyMemory<byte>>> change,
            CancellationToken cancellationToken = default)
        {
            Check.NotNull(change, nameof(change));
            return new ValueTask<ulong>(Task.Run(() => ChangeAsync(pointer, change, cancellationToken)));
        }

        /// <summary>The state of a record without its data (STAT_RECORD, docs/PROTOCOL.md §3.13).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask<RecordStat> StatAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.StatRecord(pointer), StatOf, cancellationToken);

        /// <summary>Removes a record of one's own (DELETE_RECORD, docs/PROTOCOL.md §3.8).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask DeleteAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.DeleteRecord(pointer), cancellationToken);

        private static NetworkPointer PointerOf(in Reply reply) => new NetworkPointer(reply.First);

        private static byte[] DataOf(in Reply reply) => reply.Data;

        private static ulong VersionOf(in Reply reply) => reply.First;

        private static RecordStat StatOf(in Reply reply) => (RecordStat)reply.Value!;

        private static RecordSnapshot? SnapshotOf(in Reply reply) =>
            reply.Code == ReplyCode.NotModified ? (RecordSnapshot?)null : new RecordSnapshot(reply.First, reply.Data);

        private async Task<ulong> ChangeAsync(
            NetworkPointer pointer, Func<byte[], CancellationToken, ValueTask<ReadOnlyMemory<byte>>> change,
            CancellationToken token)
        {
            var random = new Random(Guid.NewGuid().GetHashCode());
            for (int most = 1; ; most = Math.Min(most * 2, LongestWait))
            {
                RecordSnapshot? old = await ResolveIfChangedAsync(pointer, 0, token).ConfigureAwait(false);
                ReadOnlyMemory<byte> data = await change(old!.Value.Data, token).ConfigureAwait(false);
                try
                {
                    return await CompareAndReplaceAsync(pointer, old.Value.Version, data, token).ConfigureAwait(false);
                }
                catch (NetSwapException error) when (error.Code == RefusalCode.VersionMismatch)
                {
                    // Somebody was faster.
                }

                // Others go first for a random time, which may be none.
                await Task.Delay(random.Next(most + 1), token).ConfigureAwait(false);
            }
        }
    }
}
