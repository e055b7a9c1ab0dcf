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
    /// One upload: a ring of memory that a stream is read into, and that the connection sends from. It runs in the thread
    /// pool, since streams may block.
    /// </summary>
    internal sealed class Upload
    {
        private const int RingLength = 256 * 1024;

        // The stream is read when there is room for so much.
        private const int ReadAtLeast = 32 * 1024;

        private readonly Session session;
        private readonly Stream source;
        private readonly IProgress<long>? progress;
        private readonly CancellationToken token;
        private readonly long total;
        private readonly byte[] ring;
        private readonly StreamCall call;

        // Bytes of the data that were read, those of them that the connection was given, and those of them that have left.
        private long read;
        private long provided;
        private long sent;

        // The next bytes of the stream, while they are on their way into the ring.
        private Task<int>? next;

        public Upload(
            Session session, in Request request, Stream source, IProgress<long>? progress, CancellationToken token)
        {
            this.session = session;
            this.source = source;
            this.progress = progress;
            this.token = token;
            total = request.Body.Length;
            ring = ArrayPool<byte>.Shared.Rent((int)Math.Min(RingLength, Math.Max(1, total)));
            call = new StreamCall(session, request, new RequestOptions(session.Settings.RequestTimeout));
        }

        private bool HasRoom =>
            read < total && ring.Length - (read - sent) >= Math.Min(ReadAtLeast, total - read);

        /// <summary>Runs it.</summary>
        public async Task<Reply> RunAsync()
        {
            using (var reading = CancellationTokenSource.CreateLinkedTokenSource(token))
            using (token.Register(state => ((Signal)state!).Set(), call.Changed, false))
            {
                try
                {
                    Reply answer = await MoveAsync(reading.Token).ConfigureAwait(false);
                    progress?.Report(total);
                    return answer;
                }
                finally
                {
                    call.Leave();
                    reading.Cancel();
                    Free();
                }
            }
        }

        private async Task<Reply> MoveAsync(CancellationToken reading)
        {
            bool isStarted = false;
            long told = 0;
            while (true)
            {
                if (next == null && HasRoom)
                {
                    BeginRead(reading);
                }

                if (next != null && next.IsCompleted)
                {
                    await EndReadAsync().ConfigureAwait(false);
                }

                // The server is asked when there is something to give it: unfinished requests have a time limit there.
                if (!isStarted && (read > 0 || total == 0))
                {
                    isStarted = true;
                    session.Start(call, token);
                }

                using (session.Gate.Enter())
                {
                    if (call.Answer.HasValue)
                    {
                        return call.Answer.Value;
                    }

                    if (call.Error != null)
                    {
                        throw call.Error;
                    }

                    Provide();
                }

                if (!isStarted && token.IsCancellationRequested)
                {
                    throw new CallCanceledException(token, RequestOutcome.NotDone);
                }

                if (sent > told && sent < total)
                {
                    told = sent;
                    progress?.Report(sent);
                }

                if (next != null ? !next.IsCompleted : !HasRoom)
                {
                    await call.Changed.WaitAsync().ConfigureAwait(false);
                }
            }
        }

        // Gives the connection what it has not got, and sees what has left. Inside the gate.
        private void Provide()
        {
            Link? link = call.Link;
            Transaction? transaction = call.Transaction;
            if (link == null || transaction == null)
            {
                return;
            }

            bool isNew = provided < read;
            while (provided < read)
            {
                int at = (int)(provided % ring.Length);
                int length = (int)Math.Min(read - provided, ring.Length - at);
                link.Machine.Provide(transaction, new ReadOnlyMemory<byte>(ring, at, length));
                provided += length;
            }

            sent = provided - transaction.Lane.Given;
            if (isNew)
            {
                link.Wake();
            }
        }

        private void BeginRead(CancellationToken reading)
        {
            int at = (int)(read % ring.Length);
            long room = Math.Min(ring.Length - at, ring.Length - (read - sent));
            var into = new Memory<byte>(ring, at, (int)Math.Min(room, total - read));
            try
            {
                next = source.ReadAsync(into, reading).AsTask();
            }
            catch (Exception error)
            {
                next = Task.FromException<int>(error);
            }

            if (!next.IsCompleted)
            {
                next.ContinueWith(
                    (_, state) => ((Signal)state!).Set(), call.Changed, CancellationToken.None,
                    TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
        }

        private async Task EndReadAsync()
        {
            int count;
            Task<int> ended = next!;
            next = null;
            try
            {
                count = await ended.ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                throw new CallCanceledException(token, RequestOutcome.NotDone);
            }
            catch (Exception error)
            {
                throw Errors.StreamFailed("cannot read the data to be sent", error);
            }

            if (count <= 0)
            {
                throw Errors.StreamTooShort(read, total);
            }

            read += count;
        }

        // Gives the memory back, once the stream is not read into it any more.
        private void Free()
        {
            if (next == null)
            {
                ArrayPool<byte>.Shared.Return(ring);
                return;
            }

            next.ContinueWith(
                late =>
                {
                    _ = late.Exception;
                    ArrayPool<byte>.Shared.Return(ring);
                },
                CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }
}
