#nullable enable

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>Many threads at once, while connections come and go and calls are given up.</summary>
    public sealed class StressTests
    {
        [Test]
        public async Task Every_call_of_many_threads_ends_whatever_happens_to_the_connection()
        {
            using var server = new Pretender(EchoForAWhile);
            NetSwapClient client = await NetSwapClient.ConnectAsync(new NetSwapOptions(server.Address)
            {
                FirstReconnectDelay = TimeSpan.FromMilliseconds(1), LongestReconnectDelay = TimeSpan.FromMilliseconds(5),
                RequestTimeout = TimeSpan.FromSeconds(3),
            });
            int answered = 0;
            int lost = 0;
            int canceled = 0;
            DateTime end = DateTime.UtcNow.AddSeconds(2);
            IEnumerable<Task> threads = Enumerable.Range(0, 16).Select(seed => Task.Run(async () =>
            {
                var random = new Random(seed);
                var sent = new byte[1390];
                random.NextBytes(sent);
                while (DateTime.UtcNow < end)
                {
                    using var giving = new CancellationTokenSource();
                    if (random.Next(4) == 0)
                    {
                        giving.CancelAfter(random.Next(3));
                    }

                    try
                    {
                        await client.PingAsync(sent.AsMemory(0, random.Next(sent.Length)), giving.Token);
                        Interlocked.Increment(ref answered);
                    }
                    catch (CallCanceledException)
                    {
                        Interlocked.Increment(ref canceled);
                    }
                    catch (NetSwapException error)
                    {
                        Assert.That(error.Kind, Is.EqualTo(NetSwapErrorKind.ConnectionLost));
                        Interlocked.Increment(ref lost);
                    }
                }
            }));
            Task all = Task.WhenAll(threads);
            Assert.That(await Task.WhenAny(all, Task.Delay(15_000)), Is.SameAs(all), "calls hang");
            await all;
            Assert.That((answered > 500, lost > 20, canceled > 20), Is.EqualTo((true, true, true)), $"{answered} {lost} {canceled}");
            await client.CloseAsync();
            await Place.UntilAsync(() => server.Open == 0);
        }

        [Test]
        public async Task Memory_does_not_follow_the_length_of_streams()
        {
            using Server server = Server.Start();
            using NetSwapClient client = await NetSwapClient.ConnectAsync(server.Address);
            const int Length = 150_000_000;
            NetworkPointer pointer = await client.CreateFromAsync(new Zeros(Length), RecordAccess.Read, Length);
            long before = GC.GetTotalMemory(true);
            long most = 0;
            var into = new Zeros(0);
            long length = await client.ResolveIntoAsync(
                pointer, into, new Told(_ => most = Math.Max(most, GC.GetTotalMemory(false) - before)));
            Assert.That((length, into.Written), Is.EqualTo(((long)Length, (long)Length)));
            Assert.That(most, Is.LessThan(40_000_000));
        }

        [Test]
        public async Task Calls_that_nobody_awaits_leave_nothing_with_their_token()
        {
            using Server server = Server.Start();
            using NetSwapClient client = await NetSwapClient.ConnectAsync(server.Address);
            using var never = new CancellationTokenSource();
            var calls = new List<WeakReference>();
            await ForgetAsync(client, never.Token, calls);
            await Place.UntilAsync(() =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return calls.Count(call => call.IsAlive) < 20;
            });
        }

        private static async Task ForgetAsync(NetSwapClient client, CancellationToken token, List<WeakReference> calls)
        {
            for (int round = 0; round < 200; round++)
            {
                // The data are what a call that is not over holds on to.
                var data = new byte[100_000];
                calls.Add(new WeakReference(data));
                _ = client.PingAsync(data, token);
            }

            await client.PingAsync(default, token);
        }

        // Answers PINGs, some of them, and then ends the connection in one way or another.
        private static void EchoForAWhile(Socket socket)
        {
            var random = new Random();
            for (int left = random.Next(400); left > 0; left--)
            {
                byte[]? header = Pretender.Receive(socket, 10);
                if (header == null)
                {
                    return;
                }

                int length = Math.Min((header[6] << 8) | header[7], 1390);
                byte[]? payload = Pretender.Receive(socket, length);
                if (header[8] == 255)
                {
                    // What it gives up was answered before.
                    continue;
                }

                header[8] = 0;
                socket.Send(header.Concat(payload!).ToArray());
            }

            if (random.Next(2) == 0)
            {
                socket.Close(0);
            }
        }

        private sealed class Told : IProgress<long>
        {
            private readonly Action<long> hear;

            public Told(Action<long> hear)
            {
                this.hear = hear;
            }

            public void Report(long value) => hear(value);
        }

        /// <summary>Gives zeros, and takes whatever it gets.</summary>
        private sealed class Zeros : Stream
        {
            private readonly long length;
            private long given;

            public Zeros(long length)
            {
                this.length = length;
            }

            public long Written { get; private set; }

            public override bool CanRead => true;

            public override bool CanSeek => false;

            public override bool CanWrite => true;

            public override long Length => throw new NotSupportedException();

            public override long Position
            {
                get => throw new NotSupportedException();
                set => throw new NotSupportedException();
            }

            public override void Flush()
            {
            }

            public override int Read(byte[] buffer, int offset, int count)
            {
                int gives = (int)Math.Min(count, length - given);
                Array.Clear(buffer, offset, gives);
                given += gives;
                return gives;
            }

            public override void Write(byte[] buffer, int offset, int count) => Written += count;

            public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

            public override void SetLength(long value) => throw new NotSupportedException();
        }
    }
}
