#nullable enable

using System;

namespace NetSwap.Connections
{
    /// <summary>When a client has waited long enough. Times are ticks of 100 ns of a clock that does not go backwards.</summary>
    internal sealed class Clock
    {
        /// <summary>The time that never comes.</summary>
        public const long Never = long.MaxValue;

        /// <summary>
        /// No deadline is before this. Deadlines move away when packets move, and are only looked at when this has come, so
        /// that packets cost nothing.
        /// </summary>
        public long Check { get; set; } = Never;

        /// <summary>When bytes moved last, in either direction.</summary>
        public long Active { get; set; }

        /// <summary>When the client last began to read again: while it does not read, nothing can time out.</summary>
        public long Resumed { get; set; }

        /// <summary>A time that is so much later.</summary>
        public static long After(long now, long time) => time >= Never - now ? Never : now + time;

        /// <summary>There is a deadline that may be before all others.</summary>
        public void Watch(long deadline) => Check = Math.Min(Check, deadline);

        /// <summary>
        /// When a transaction has waited too long. The terminal of an abandoned one may take its time, as long as anything
        /// moves on the connection.
        /// </summary>
        public long Deadline(Transaction transaction, long idleTimeout)
        {
            long moved = Math.Max(transaction.Moved, Resumed);
            return transaction.IsAbandoned
                ? After(Math.Max(moved, Active), idleTimeout) : After(moved, transaction.Patience);
        }
    }
}
