#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;
using NetSwap.Wire;

namespace NetSwap
{
    /// <content>The calls that are about parts of records.</content>
    public sealed partial class NetSwapClient
    {
        /// <summary>
        /// Reads a part of a record (READ_RANGE, docs/PROTOCOL.md §3.15). Where the record ends earlier there are fewer bytes, or
        /// none.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="offset">Where to begin, in bytes, up to 4294967295.</param>
        /// <param name="length">How many bytes to read at most, up to 4294967295.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        public ValueTask<RecordRange> ReadRangeAsync(
            NetworkPointer pointer, long offset, long length, CancellationToken cancellationToken = default) =>
            session.CallAsync(
                Request.ReadRange(pointer, Check.U32(offset, nameof(offset)), Check.U32(length, nameof(length))), RangeOf,
                cancellationToken);

        /// <summary>
        /// Writes data over a part of a record (WRITE_RANGE, docs/PROTOCOL.md §3.16). The record grows as far as needed; a gap
        /// between its end and the offset is filled with zeros.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="offset">Where to begin, in bytes, up to 4294967295.</param>
        /// <param name="data">The data. They must stay as they are until the call has ended.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> WriteRangeAsync(
            NetworkPointer pointer, long offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default) =>
            session.CallAsync(
                Request.WriteRange(pointer, Check.U32(offset, nameof(offset)), Body.Of(data)), VersionOf, cancellationToken);

        /// <summary>Adds data at the end of a record (APPEND, docs/PROTOCOL.md §3.17).</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="data">The data. They must stay as they are until the call has ended.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version, and where the data begin.</returns>
        public ValueTask<AppendResult> AppendAsync(
            NetworkPointer pointer, ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default) =>
            session.CallAsync(Request.Append(pointer, Body.Of(data)), AppendedOf, cancellationToken);

        /// <summary>
        /// Adds to the big-endian number of 64 bits at an offset in a record (FETCH_ADD, docs/PROTOCOL.md §3.19). It wraps at the
        /// ends of the range.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="offset">Where the number begins, in bytes, up to 4294967295.</param>
        /// <param name="delta">What to add.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version, and the sum.</returns>
        public ValueTask<AddResult> FetchAddAsync(
            NetworkPointer pointer, long offset, long delta, CancellationToken cancellationToken = default) =>
            session.CallAsync(
                Request.FetchAdd(pointer, Check.U32(offset, nameof(offset)), delta), AddedOf, cancellationToken);

        private static RecordRange RangeOf(in Reply reply) => new RecordRange(reply.First, (long)reply.Second, reply.Data);

        private static AppendResult AppendedOf(in Reply reply) => new AppendResult(reply.First, (long)reply.Second);

        private static AddResult AddedOf(in Reply reply) => new AddResult(reply.First, unchecked((long)reply.Second));
    }
}
