#nullable enable

using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>Nothing of the client runs on the synchronisation context of its caller, nor on its thread.</summary>
    public sealed class ContextTests
    {
        [Test]
        public void A_caller_that_blocks_its_own_context_does_not_stop_its_calls()
        {
            using Server server = Server.Start();
            var context = new CountingContext();
            var thread = new Thread(() =>
            {
                SynchronizationContext.SetSynchronizationContext(context);
                try
                {
                    Use(server.Address);
                }
                catch (Exception error)
                {
                    context.Error = error;
                }
            });
            thread.Start();
            Assert.That(thread.Join(20_000), "it hangs");
            Assert.That(context.Error, Is.Null);
            Assert.That(context.Posts, Is.Zero);
        }

        [Test]
        public async Task Code_that_runs_in_a_context_of_the_caller_can_make_calls_while_it_is_told()
        {
            using Server server = Server.Start();
            using NetSwapClient client = await NetSwapClient.ConnectAsync(server.Address);
            SynchronizationContext? before = SynchronizationContext.Current;
            try
            {
                // One that runs whatever it is given at once, on the thread of the client that tells it.
                SynchronizationContext.SetSynchronizationContext(new InlineContext());
                for (int round = 0; round < 100; round++)
                {
                    await client.PingAsync(new byte[] { 1 });
                    await client.IdentifyAsync();
                }
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
            }
        }

        [Test]
        public async Task A_context_that_takes_no_more_work_harms_nobody_else()
        {
            using Server server = Server.Start();
            using NetSwapClient client = await NetSwapClient.ConnectAsync(server.Address);
            NetworkPointer pointer = await client.ReserveAsync();
            SynchronizationContext? before = SynchronizationContext.Current;
            Task lost;
            try
            {
                SynchronizationContext.SetSynchronizationContext(new DeadContext());
                lost = AwaitedAsync(client, pointer);
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
            }

            await client.ReplaceAsync(pointer, new byte[1]).ConfigureAwait(false);
            await client.PingAsync().ConfigureAwait(false);
            Assert.That(lost.IsCompleted, Is.False);
        }

        // Blocks the thread for each call, as nobody should.
        private static void Use(string address)
        {
            NetSwapClient client = NetSwapClient.ConnectAsync(address).AsTask().GetAwaiter().GetResult();
            NetworkPointer pointer = client.CreateAsync(new byte[3000]).AsTask().GetAwaiter().GetResult();
            client.UpdateAsync(pointer, data => data).AsTask().GetAwaiter().GetResult();
            client.CreateFromAsync(new MemoryStream(new byte[500_000])).AsTask().GetAwaiter().GetResult();
            client.ResolveIntoAsync(pointer, new MemoryStream()).AsTask().GetAwaiter().GetResult();
            RecordMirror mirror = client.MirrorAsync(pointer).AsTask().GetAwaiter().GetResult();
            client.AppendAsync(pointer, new byte[1]).AsTask().GetAwaiter().GetResult();
            mirror.ChangedAsync().AsTask().GetAwaiter().GetResult();
            mirror.DisposeAsync().AsTask().GetAwaiter().GetResult();
            client.CloseAsync().AsTask().GetAwaiter().GetResult();
        }

        private static async Task AwaitedAsync(NetSwapClient client, NetworkPointer pointer) =>
            await client.ResolveWaitAsync(pointer);

        private sealed class CountingContext : SynchronizationContext
        {
            private int posts;

            public int Posts => posts;

            public Exception? Error { get; set; }

            public override void Post(SendOrPostCallback d, object? state) => Interlocked.Increment(ref posts);

            public override void Send(SendOrPostCallback d, object? state) => Interlocked.Increment(ref posts);
        }

        private sealed class InlineContext : SynchronizationContext
        {
            public override void Post(SendOrPostCallback d, object? state)
            {
                SynchronizationContext? before = Current;
                SetSynchronizationContext(this);
                d(state);
                SetSynchronizationContext(before);
            }
        }

        private sealed class DeadContext : SynchronizationContext
        {
            public override void Post(SendOrPostCallback d, object? state) => throw new ObjectDisposedException("context");
        }
    }
}
