using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;

namespace NetSwap.Bench
{
    /// <summary>
    /// What small calls allocate and take: `Allocations ADDRESS`, with a server that is started for it. Allocations are those of
    /// the whole process.
    /// </summary>
    internal static class Allocations
    {
        private const int Calls = 100_000;
        private const int Length = 64;

        private static async Task<int> Main(string[] arguments)
        {
            await using NetSwapClient client = await NetSwapClient.ConnectAsync(arguments[0]);
            NetworkPointer pointer = await client.CreateAsync(new byte[Length]);
            foreach (int callers in new[] { 1, 64 })
            {
                await MeasureAsync("read 64 B", callers, async calls =>
                {
                    for (; calls > 0; calls--)
                    {
                        await client.ReadRangeAsync(pointer, 0, Length).ConfigureAwait(false);
                    }
                });
                var data = new byte[Length];
                await MeasureAsync("write 64 B", callers, async calls =>
                {
                    for (; calls > 0; calls--)
                    {
                        await client.WriteRangeAsync(pointer, 0, data).ConfigureAwait(false);
                    }
                });
            }

            return 0;
        }

        private static async Task MeasureAsync(string what, int callers, Func<int, Task> call)
        {
            await ManyAsync(callers, Calls / 5, call);
            long before = GC.GetTotalAllocatedBytes(true);
            var watch = Stopwatch.StartNew();
            await ManyAsync(callers, Calls, call);
            double seconds = watch.Elapsed.TotalSeconds;
            long allocated = GC.GetTotalAllocatedBytes(true) - before;
            Console.WriteLine(string.Format(
                CultureInfo.InvariantCulture, "{0}, {1} at once: {2} bytes allocated for each call, {3:0} calls/s",
                what, callers, allocated / Calls, Calls / seconds));
        }

        private static Task ManyAsync(int callers, int calls, Func<int, Task> call) =>
            Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(() => call(calls / callers))));
    }
}
