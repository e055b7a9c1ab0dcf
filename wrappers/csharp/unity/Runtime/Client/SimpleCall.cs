#nullable enable

using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>Makes a result of a reply, inside the gate.</summary>
    internal delegate T ReadReply<T>(in Reply reply);

    /// <summary>
    /// A call with one request and one answer, which its caller awaits. It is used again for another call once it was awaited,
    /// so that a call allocates little but its result.
    /// </summary>
    internal sealed class SimpleCall<T> : Call, IValueTaskSource<T>, IValueTaskSource, IDeferred
    {
        private const int SparesAtMost = 256;

        private static readonly Stack<SimpleCall<T>> Spares = new Stack<SimpleCall<T>>();

        private ManualResetValueTaskSourceCore<T> core = new ManualResetValueTaskSourceCore<T>
        {
            RunContinuationsAsynchronously = true,
        };

        private ReadReply<T>? read;
        private T result = default!;
        private Exception? error;

        private SimpleCall(Session session)
            : base(session)
        {
        }

        /// <summary>What the caller awaits.</summary>
        public ValueTask<T> Task => new ValueTask<T>(this, core.Version);

        /// <summary>What the caller awaits, where there is no result.</summary>
        public ValueTask PlainTask => new ValueTask(this, core.Version);

        /// <summary>A call, new or used again.</summary>
        public static SimpleCall<T> Of(Session session, in Request request, in RequestOptions options, ReadReply<T> read)
        {
            SimpleCall<T>? call = null;
            lock (Spares)
            {
                if (Spares.Count > 0)
                {
                    call = Spares.Pop();
                }
            }

            call ??= new SimpleCall<T>(session);
            call.Session = session;
            call.Request = request;
            call.Options = options;
            call.read = read;
            return call;
        }

        /// <summary>Tells the caller, outside of the gate.</summary>
        public void Run()
        {
            StopListening();
            try
            {
                if (error != null)
                {
                    core.SetException(error);
                }
                else
                {
                    core.SetResult(result);
                }
            }
            catch (Exception)
            {
                // The caller's synchronisation context takes no more work: nobody is there to be told.
            }
        }

        T IValueTaskSource<T>.GetResult(short token) => Finish(token);

        void IValueTaskSource.GetResult(short token) => Finish(token);

        ValueTaskSourceStatus IValueTaskSource<T>.GetStatus(short token) => core.GetStatus(token);

        ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => core.GetStatus(token);

        void IValueTaskSource<T>.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            core.OnCompleted(continuation, state, token, flags);

        void IValueTaskSource.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            core.OnCompleted(continuation, state, token, flags);

        protected override void OnReplied(in Reply reply)
        {
            result = read!(reply);
            Session.Gate.Defer(this);
        }

        protected override void OnFailed(Exception failure)
        {
            error = failure;
            Session.Gate.Defer(this);
        }

        private T Finish(short token)
        {
            if (core.GetStatus(token) == ValueTaskSourceStatus.Pending)
            {
                throw new InvalidOperationException("the call has not ended: await it");
            }

            try
            {
                return core.GetResult(token);
            }
            finally
            {
                Recycle();
            }
        }

        private void Recycle()
        {
            core.Reset();
            Reset();
            Session = null!;
            read = null;
            result = default!;
            error = null;
            lock (Spares)
            {
                if (Spares.Count < SparesAtMost)
                {
                    Spares.Push(this);
                }
            }
        }
    }
}
