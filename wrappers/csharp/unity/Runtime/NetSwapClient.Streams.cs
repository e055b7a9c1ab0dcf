#nullable enable

using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;
using NetSwap.Wire;

namespace NetSwap
{
    /// <content>The calls whose data come from a stream or go to one, and watches.</content>
    /// <remarks>
    /// Streams are read and written in the thread pool. They are not closed. Progress is told in bytes of data, in ascending
    /// order, and at last with all of them.
    /// </remarks>
    public sealed partial class NetSwapClient
    {
        /// <summary>Makes a record of the next bytes of a stream, as <see cref="CreateAsync"/> does of data.</summary>
        /// <param name="source">
        /// The stream. One that fails or ends early is an error of the kind <see cref="NetSwapErrorKind.Stream"/>, and nothing
        /// is made.
        /// </param>
        /// <param name="access">What others may do with the record.</param>
        /// <param name="length">How many bytes, up to 4294967295; the rest of a stream that knows its length by default.</param>
        /// <param name="progress">Hears how many bytes have left.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The pointer, to be sent to others.</returns>
        public ValueTask<NetworkPointer> CreateFromAsync(
            Stream source, RecordAccess access = RecordAccess.None, long? length = null, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default)
        {
            Body body = Body.Streamed(Check.Source(source, length));
            Request request = Request.CreateRecord(Check.Access(access, nameof(access)), body);
            return UploadAsync(request, PointerOf, source, progress, cancellationToken);
        }

        /// <summary>
        /// Puts the next bytes of a stream in the place of a record's old data, as <see cref="ReplaceAsync"/> does with data.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="source">The stream.</param>
        /// <param name="length">How many bytes, up to 4294967287; the rest of a stream that knows its length by default.</param>
        /// <param name="progress">Hears how many bytes have left.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> ReplaceFromAsync(
            NetworkPointer pointer, Stream source, long? length = null, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default)
        {
            Request request = Request.ReplaceRecord(pointer, Body.Streamed(Check.Source(source, length)));
            return UploadAsync(request, VersionOf, source, progress, cancellationToken);
        }

        /// <summary>
        /// Writes the next bytes of a stream over a part of a record, as <see cref="WriteRangeAsync"/> does with data.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="offset">Where to begin, in bytes, up to 4294967295.</param>
        /// <param name="source">The stream.</param>
        /// <param name="length">How many bytes, up to 4294967283; the rest of a stream that knows its length by default.</param>
        /// <param name="progress">Hears how many bytes have left.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> WriteRangeFromAsync(
            NetworkPointer pointer, long offset, Stream source, long? length = null, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default)
        {
            Body body = Body.Streamed(Check.Source(source, length));
            Request request = Request.WriteRange(pointer, Check.U32(offset, nameof(offset)), body);
            return UploadAsync(request, VersionOf, source, progress, cancellationToken);
        }

        /// <summary>Adds the next bytes of a stream at the end of a record, as <see cref="AppendAsync"/> does with data.</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="source">The stream.</param>
        /// <param name="length">How many bytes, up to 4294967287; the rest of a stream that knows its length by default.</param>
        /// <param name="progress">Hears how many bytes have left.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version, and where the data begin.</returns>
        public ValueTask<AppendResult> AppendFromAsync(
            NetworkPointer pointer, Stream source, long? length = null, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default)
        {
            Request request = Request.Append(pointer, Body.Streamed(Check.Source(source, length)));
            return UploadAsync(request, AppendedOf, source, progress, cancellationToken);
        }

        /// <summary>
        /// Puts the next bytes of a stream in the place of a record's old data if it still has this version, as
        /// <see cref="CompareAndReplaceAsync"/> does with data.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="version">The version to be replaced; 0 fits a reserved record.</param>
        /// <param name="source">The stream.</param>
        /// <param name="length">How many bytes, up to 4294967279; the rest of a stream that knows its length by default.</param>
        /// <param name="progress">Hears how many bytes have left.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>The new version.</returns>
        public ValueTask<ulong> CompareAndReplaceFromAsync(
            NetworkPointer pointer, ulong version, Stream source, long? length = null, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default)
        {
            Request request = Request.CompareAndReplace(pointer, version, Body.Streamed(Check.Source(source, length)));
            return UploadAsync(request, VersionOf, source, progress, cancellationToken);
        }

        /// <summary>
        /// Writes a record's data to a stream. There is no limit but the record's own: memory holds 4 MiB of it at most.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="destination">
        /// The stream. One that fails is an error of the kind <see cref="NetSwapErrorKind.Stream"/>.
        /// </param>
        /// <param name="progress">Hears how many bytes were written.</param>
        /// <param name="cancellationToken">Gives the call up.</param>
        /// <returns>How many bytes there were.</returns>
        public ValueTask<long> ResolveIntoAsync(
            NetworkPointer pointer, Stream destination, IProgress<long>? progress = null,
            CancellationToken cancellationToken = default) =>
            new ValueTask<long>(Download.RunAsync(
                session, pointer, Check.Destination(destination), progress, cancellationToken));

        /// <summary>
        /// Watches a record, with a copy of it that is kept up to date (WATCH_RECORD, docs/PROTOCOL.md §3.21). It begins when it
        /// is enumerated.
        /// </summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Ends the watch, whenever it says so.</param>
        public RecordWatch WatchAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            WatchAsync(pointer, WatchMode.Copy, cancellationToken);

        /// <summary>Watches a record, in this mode. It begins when it is enumerated.</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="mode">What is told of the data.</param>
        /// <param name="cancellationToken">Ends the watch, whenever it says so.</param>
        public RecordWatch WatchAsync(
            NetworkPointer pointer, WatchMode mode, CancellationToken cancellationToken = default)
        {
            if (mode < WatchMode.Versions || mode > WatchMode.Copy)
            {
                throw new ArgumentOutOfRangeException(nameof(mode), mode, "must be Versions, Changes or Copy");
            }

            return new RecordWatch(session, pointer, mode, cancellationToken);
        }

        /// <summary>Keeps a copy of a record, which has its first state when the call ends.</summary>
        /// <param name="pointer">The record.</param>
        /// <param name="cancellationToken">Ends the mirror, whenever it says so.</param>
        public ValueTask<RecordMirror> MirrorAsync(NetworkPointer pointer, CancellationToken cancellationToken = default) =>
            RecordMirror.OfAsync(WatchAsync(pointer, WatchMode.Copy, cancellationToken));

        private ValueTask<T> UploadAsync<T>(
            in Request request, ReadReply<T> read, Stream source, IProgress<long>? progress, CancellationToken token)
        {
            var upload = new Upload(session, request, source, progress, token);
            return new ValueTask<T>(Task.Run(async () => read(await upload.RunAsync().ConfigureAwait(false))));
        }
    }
}
