#nullable enable

using System;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

namespace NetSwap.Client
{
    /// <summary>
    /// Wakes one waiter, now or when it next waits. What waits goes on in the thread pool. It allocates nothing.
    /// </summary>
    internal sealed class Signal : IValueTaskSource
    {
        private readonly object mutex = new object();
        private ManualResetValueTaskSourceCore<bool> core = new ManualResetValueTaskSourceCore<bool>
        {
            RunContinuationsAsynchronously = true,
        };

        private bool isSet;
        private bool isAwaited;

        /// <summary>Wakes the waiter, or lets the next wait pass.</summary>
        public void Set()
        {
            lock (mutex)
            {
                if (!isAwaited)
                {
                    isSet = true;
                    return;
                }

                isAwaited = false;
            }

            core.SetResult(true);
        }

        /// <summary>Waits until it is set. One waiter at a time.</summary>
        public ValueTask WaitAsync()
        {
            lock (mutex)
            {
                if (isSet)
                {
                    isSet = false;
                    return default;
                }

                core.Reset();
                isAwaited = true;
                return new ValueTask(this, core.Version);
            }
        }

        void IValueTaskSource.GetResult(short token) => core.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => core.GetStatus(token);

        void IValueTaskSource.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            core.OnCompleted(continuation, state, token, flags);
    }
}
