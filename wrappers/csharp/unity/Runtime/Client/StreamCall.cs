#nullable enable

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>A call of which the data go to or come from a stream: whoever moves them waits for something to have changed.</summary>
    internal sealed class StreamCall : Call
    {
        private readonly Queue<(byte[] Rented, int Length)> pieces = new Queue<(byte[], int)>();

        public StreamCall(Session session, in Request request, in RequestOptions options)
            : base(session)
        {
            Request = request;
            Options = options;
        }

        /// <summary>Set when there is something to be looked at.</summary>
        public Signal Changed { get; } = new Signal();

        /// <summary>The answer, when it has come.</summary>
        public Reply? Answer { get; private set; }

        /// <summary>Why it has failed, when it has.</summary>
        public Exception? Error { get; private set; }

        /// <summary>Takes the next piece of a download, to be given back to the pool.</summary>
        public bool TryTake(out byte[] rented, out int length)
        {
            bool any = pieces.Count > 0;
            (rented, length) = any ? pieces.Dequeue() : (Array.Empty<byte>(), 0);
            if (any && Link != null && Transaction != null)
            {
                Link.Consumed(Transaction, length);
            }

            return any;
        }

        /// <summary>Nobody wants more of it. Outside of the gate.</summary>
        public void Leave()
        {
            StopListening();
            using (Session.Gate.Enter())
            {
                if (!IsSettled)
                {
                    Abandon();
                }

                while (pieces.Count > 0)
                {
                    ArrayPool<byte>.Shared.Return(pieces.Dequeue().Rented);
                }
            }
        }

        public override void Begin(Link link, Transaction transaction)
        {
            base.Begin(link, transaction);
            Changed.Set();
        }

        public override void Piece(byte[] rented, int length, long total)
        {
            if (!IsSettled)
            {
                pieces.Enqueue((rented, length));
                Changed.Set();
            }
        }

        public override void Wanted() => Changed.Set();

        protected override void OnReplied(in Reply reply)
        {
            Answer = reply;
            Changed.Set();
        }

        protected override void OnFailed(Exception error)
        {
            Error = error;
            Changed.Set();
        }
    }

    /// <summary>Waits for a connection, like a call, and makes no request.</summary>
    internal sealed class ConnectedCall : Call
    {
        private readonly TaskCompletionSource<bool> source =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);

        private ConnectedCall(Session session)
            : base(session)
        {
            Options = new RequestOptions(session.Settings.RequestTimeout);
        }

        /// <summary>Waits as long as a call may. Outside of the gate.</summary>
        public static async Task WaitAsync(Session session, CancellationToken token)
        {
            var call = new ConnectedCall(session);
            session.Start(call, token);
            try
            {
                await call.source.Task.ConfigureAwait(false);
            }
            finally
            {
                call.StopListening();
            }
        }

        public override bool Connected(Link link)
        {
            Settle();
            source.TrySetResult(true);
            return false;
        }

        protected override void OnReplied(in Reply reply) => source.TrySetResult(true);

        protected override void OnFailed(Exception error) => source.TrySetException(error);
    }
}
