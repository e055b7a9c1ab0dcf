#nullable enable

#if NET8_0_OR_GREATER
using System;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>Small calls allocate little beside their results. Mono cannot tell what was allocated.</summary>
    public sealed class AllocationTests
    {
        private const int Calls = 5000;

        [Test]
        public async Task A_small_call_allocates_its_result_and_little_else()
        {
            using Server server = Server.Start();
            using NetSwapClient client = await NetSwapClient.ConnectAsync(server.Address);
            NetworkPointer pointer = await client.CreateAsync(new byte[64]);
            await ReadAsync(client, pointer);
            long before = GC.GetTotalAllocatedBytes(true);
            await ReadAsync(client, pointer);
            long each = (GC.GetTotalAllocatedBytes(true) - before) / Calls;

            // The result is an array of 64 bytes, which takes 88.
            Assert.That(each, Is.InRange(88, 300));
        }

        private static async Task ReadAsync(NetSwapClient client, NetworkPointer pointer)
        {
            for (int left = Calls; left > 0; left--)
            {
                await client.ReadRangeAsync(pointer, 0, 64).ConfigureAwait(false);
            }
        }
    }
}
#endif
