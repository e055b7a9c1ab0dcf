#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;
using NetSwap.Wire;

namespace NetSwap
{
    /// <content>The calls that are about rights, owners and lifetimes, and about the server itself.</content>
    public sealed partial class NetSwapClient
    {
        /// <summary>Says what others may do with a record of one's own (UPDATE_RECORD_PERMISSIONS, docs/PROTOCOL.md §3.5).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="access">What others may do from now on.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask SetPermissionsAsync(
            NetworkPointer pointer, RecordAccess access, CancellationToken cancellationToken = default) =>
            session.CallAsync(
                Request.UpdateRecordPermissions(pointer, Check.Access(access, nameof(access))), cancellationToken);

        /// <summary>
        /// Says how long a record of one's own lives; all three settings are set anew (SET_LIFETIME, docs/PROTOCOL.md §3.23).
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="lifetime">How long.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask SetLifetimeAsync(
            NetworkPointer pointer, RecordLifetime lifetime, CancellationToken cancellationToken = default)
        {
            Check.NotNull(lifetime, nameof(lifetime));
            uint grace = lifetime.Grace.HasValue
                ? Check.Seconds(lifetime.Grace.Value, 0, uint.MaxValue - 1, nameof(lifetime.Grace)) : uint.MaxValue;
            uint ttl = lifetime.TimeToLive.HasValue
                ? Check.Seconds(lifetime.TimeToLive.Value, 1, uint.MaxValue, nameof(lifetime.TimeToLive)) : 0;
            return session.CallAsync(
                Request.SetLifetime(pointer, grace, ttl, lifetime.Heir ?? default), cancellationToken);
        }

        /// <summary>Becomes the owner of a record that others may take over (TAKEOVER_RECORD, docs/PROTOCOL.md §3.9).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask TakeoverAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.TakeoverRecord(pointer), cancellationToken);

        /// <summary>Gives a record of one's own to somebody (TRANSFER_RECORD, docs/PROTOCOL.md §3.10).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="owner">Who owns it from now on.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask TransferAsync(
            NetworkPointer pointer, OwnerHash owner, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.TransferRecord(pointer, owner), cancellationToken);

        /// <summary>
        /// Asks the owner for a record: its watches are told <see cref="ChangeKind.OwnershipRequested"/> (REQUEST_OWNERSHIP,
        /// docs/PROTOCOL.md §3.24).
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask RequestOwnershipAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.RequestOwnership(pointer), cancellationToken);

        /// <summary>The pointers of one's own records, ascending (LIST_RECORDS, docs/PROTOCOL.md §3.14).</summary>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask<NetworkPointer[]> ListAsync(CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.ListRecords(), PointersOf, cancellationToken);

        /// <summary>Who the caller is, and what the server allows (IDENTIFY, docs/PROTOCOL.md §3.11).</summary>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask<ServerIdentity> IdentifyAsync(CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.Identify(), IdentityOf, cancellationToken);

        /// <summary>Sends data to the server and back (PING, docs/PROTOCOL.md §3.12).</summary>
        /// <param name="data">The data, none by default. They must stay as they are until the call has ended.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask PingAsync(ReadOnlyMemory<byte> data = default, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.Ping(data), cancellationToken);

        private static NetworkPointer[] PointersOf(in Reply reply) => (NetworkPointer[])reply.Value!;

        private static ServerIdentity IdentityOf(in Reply reply) => (ServerIdentity)reply.Value!;
    }
}
