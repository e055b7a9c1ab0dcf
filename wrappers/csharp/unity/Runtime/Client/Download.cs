#nullable enable

using System;
using System.Buffers;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>
    /// Downloads to streams, in the thread pool, since streams may block. Memory holds 4 MiB of all of a client's together.
    /// </summary>
    internal static class Download
    {
        /// <summary>Writes a record's data to a stream, and tells how many bytes there were.</summary>
        public static Task<long> RunAsync(
            Session session, NetworkPointer pointer, Stream destination, IProgress<long>? progress, CancellationToken token) =>
            Task.Run(() => MoveAsync(session, pointer, destination, progress, token));

        private static async Task<long> MoveAsync(
            Session session, NetworkPointer pointer, Stream destination, IProgress<long>? progress, CancellationToken token)
        {
            var options = new RequestOptions(session.Settings.RequestTimeout, pieces: true);
            var call = new StreamCall(session, Request.ResolvePointer(pointer), options);
            session.Start(call, token);
            long done = 0;
            try
            {
                while (true)
                {
                    bool any;
                    byte[] rented;
                    int length;
                    using (session.Gate.Enter())
                    {
                        any = call.TryTake(out rented, out length);
                        if (!any && call.Answer != null)
                        {
                            return done;
                        }

                        if (call.Error != null)
                        {
                            throw call.Error;
                        }
                    }

                    if (!any)
                    {
                        await call.Changed.WaitAsync().ConfigureAwait(false);
                        continue;
                    }

                    await WriteAsync(destination, new ReadOnlyMemory<byte>(rented, 0, length), token).ConfigureAwait(false);
                    ArrayPool<byte>.Shared.Return(rented);
                    done += length;
                    progress?.Report(done);
                }
            }
            finally
            {
                call.Leave();
            }
        }

        private static async ValueTask WriteAsync(Stream destination, ReadOnlyMemory<byte> piece, CancellationToken token)
        {
            try
            {
                await destination.WriteAsync(piece, token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                throw new CallCanceledException(token, RequestOutcome.NotDone);
            }
            catch (Exception error)
            {
                throw Errors.StreamFailed("cannot write the data received", error);
            }
        }
    }
}
