#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;

namespace NetSwap.Client
{
    /// <summary>Starts what runs in the thread pool, with nothing of the context of who started it.</summary>
    internal static class Background
    {
        /// <summary>Runs a task of which nobody awaits the end, and which does not throw.</summary>
        public static void Run(Func<Task> work) => WithoutContext(() =>
        {
            Task.Run(work);
            return true;
        });

        /// <summary>Makes a timer that is not set.</summary>
        public static Timer Timer(TimerCallback callback, object state) =>
            WithoutContext(() => new Timer(callback, state, Timeout.Infinite, Timeout.Infinite));

        private static T WithoutContext<T>(Func<T> start)
        {
            if (ExecutionContext.IsFlowSuppressed())
            {
                return start();
            }

            using (ExecutionContext.SuppressFlow())
            {
                return start();
            }
        }
    }
}
