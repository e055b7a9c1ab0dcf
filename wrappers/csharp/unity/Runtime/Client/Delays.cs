#nullable enable

using System;

namespace NetSwap.Client
{
    /// <summary>
    /// The pauses between attempts to connect: each twice as long as the one before, up to a limit, and a random part of up to
    /// as much again.
    /// </summary>
    internal sealed class Delays
    {
        // Seeded so that clients of the same moment differ.
        private readonly Random random = new Random(Guid.NewGuid().GetHashCode());
        private readonly long first;
        private readonly long longest;
        private long next;

        public Delays(long first, long longest)
        {
            // What is longer than some weeks is longer than timers can be.
            long most = TimeSpan.FromDays(10).Ticks;
            this.longest = Math.Min(longest, most);
            this.first = Math.Min(first, this.longest);
            next = this.first;
        }

        /// <summary>The number of the last attempt.</summary>
        public int Attempt { get; private set; }

        /// <summary>Begins again with the first.</summary>
        public void Reset()
        {
            Attempt = 0;
            next = first;
        }

        /// <summary>How long to wait before the next attempt.</summary>
        public TimeSpan Next()
        {
            Attempt++;
            long delay = next + (long)(next * random.NextDouble());
            next = Math.Min(next * 2, longest);
            return TimeSpan.FromTicks(delay);
        }
    }
}
