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
    /// <summary>Servers that do what no server should: nothing leaks, hangs, or is thrown where nobody can catch it.</summary>
    public sealed class HostileTests
    {
        private readonly List<Exception> astray = new List<Exception>();

        [OneTimeSetUp]
        public void Listen()
        {
            TaskScheduler.UnobservedTaskException += Hear;
        }

        [OneTimeTearDown]
        public void Judge()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            TaskScheduler.UnobservedTaskException -= Hear;
            Assert.That(astray, Is.Empty);
        }

        [Test]
        public async Task Greetings_that_are_none()
        {
            var noise = new byte[100_000];
            new Random(1).NextBytes(noise);
            var greetings = new Action<Socket>[]
            {
                _ => { }, socket => socket.Close(0), Pretender.Drain,
                socket => socket.Send(System.Text.Encoding.ASCII.GetBytes("HTTP/1.1 400 Bad Request\r\n\r\n")),
                Saying(noise), Saying(Pretender.Packet(0, 8, 7, new byte[8])), Saying(Pretender.Packet(1, 4, 1)),
                Saying(Pretender.Packet(1, 0, 0, new byte[20])), Saying(Pretender.Packet(1, 255, 0)),
                Saying(Pretender.Packet(1, 0, 0, new byte[5], 20)),
            };
            foreach (Action<Socket> greeting in greetings)
            {
                using var server = new Pretender(greeting, false);
                NetSwapException error = await Place.RefusedAsync(() => NetSwapClient.ConnectAsync(Fast(server.Address)).AsTask());
                Assert.That(error.Outcome, Is.EqualTo(RequestOutcome.NotDone));
                await Place.UntilAsync(() => server.Open == 0);
            }

            NetSwapException nobody = await Place.RefusedAsync(() => NetSwapClient.ConnectAsync(Fast("127.0.0.1:1")).AsTask());
            Assert.That((nobody.Kind, nobody.IsRetryable), Is.EqualTo((NetSwapErrorKind.Connect, true)));
            NetSwapException nowhere = await Place.RefusedAsync(
                () => NetSwapClient.ConnectAsync(Fast("host.invalid:7420")).AsTask());
            Assert.That(nowhere.Kind, Is.EqualTo(NetSwapErrorKind.Connect));

            using var silent = new Pretender(Pretender.Drain, false);
            using var soon = new CancellationTokenSource(20);
            await Place.FailsAsync<CallCanceledException>(
                () => NetSwapClient.ConnectAsync(silent.Address, soon.Token).AsTask());
            await Place.UntilAsync(() => silent.Open == 0);
        }

        [Test]
        public async Task Noise_instead_of_answers_ends_every_call_and_the_next_connection_has_a_chance()
        {
            using var server = new Pretender(socket =>
            {
                var random = new Random(5);
                while (Pretender.Receive(socket, 1) != null)
                {
                    var noise = new byte[1 + random.Next(5000)];
                    random.NextBytes(noise);
                    socket.Send(noise);
                }
            });
            NetSwapClient client = await NetSwapClient.ConnectAsync(Fast(server.Address));
            var one = new NetworkPointer(1);
            var kinds = new HashSet<NetSwapErrorKind>();
            for (int round = 0; round < 60; round++)
            {
                var calls = new Task[]
                {
                    client.ResolveAsync(one).AsTask(), client.CreateAsync(new byte[3000]).AsTask(),
                    client.AppendAsync(one, new byte[10]).AsTask(), client.WatchAsync(one).StartAsync().AsTask(),
                    client.CreateFromAsync(new MemoryStream(new byte[200_000])).AsTask(),
                    client.ResolveIntoAsync(one, new MemoryStream()).AsTask(), client.MirrorAsync(one).AsTask(),
                    client.ListAsync().AsTask(),
                };
                foreach (Task call in calls)
                {
                    kinds.Add((await Place.RefusedAsync(() => call)).Kind);
                }
            }

            Assert.That(kinds, Is.SubsetOf(new[]
            {
                NetSwapErrorKind.Protocol, NetSwapErrorKind.ConnectionLost, NetSwapErrorKind.TimedOut, NetSwapErrorKind.Refused,
                NetSwapErrorKind.Aborted,
            }));
            Assert.That(server.Connections, Is.GreaterThan(30));
            await client.CloseAsync();
            await Place.UntilAsync(() => server.Open == 0);
        }

        [Test]
        public async Task A_server_that_never_answers_does_not_hang_calls_nor_closing()
        {
            using var server = new Pretender(Pretender.Drain);
            NetSwapClient client = await NetSwapClient.ConnectAsync(Fast(server.Address));
            var one = new NetworkPointer(1);
            NetSwapException read = await Place.RefusedAsync(() => client.StatAsync(one).AsTask());
            Assert.That((read.Kind, read.Outcome, read.IsRetryable),
                Is.EqualTo((NetSwapErrorKind.TimedOut, RequestOutcome.NotDone, true)));
            NetSwapException write = await Place.RefusedAsync(() => client.DeleteAsync(one).AsTask());
            Assert.That((write.Outcome, write.IsRetryable), Is.EqualTo((RequestOutcome.Unknown, false)));
            Task<byte[]> waiting = client.ResolveWaitAsync(one).AsTask();
            await client.CloseAsync();
            Assert.That((await Place.RefusedAsync(() => waiting)).Kind, Is.EqualTo(NetSwapErrorKind.Closed));
        }

        [Test]
        public async Task A_server_that_reads_nothing_does_not_hang_closing()
        {
            using var never = new ManualResetEventSlim();
            using var server = new Pretender(_ => never.Wait());
            NetSwapClient client = await NetSwapClient.ConnectAsync(Fast(server.Address));
            Task<NetworkPointer> upload = client.CreateAsync(new byte[50_000_000]).AsTask();
            Assert.That((await Place.RefusedAsync(() => upload)).Kind, Is.EqualTo(NetSwapErrorKind.TimedOut));
            Task closing = client.CloseAsync().AsTask();
            Assert.That(await Task.WhenAny(closing, Task.Delay(10_000)), Is.SameAs(closing));
            never.Set();
        }

        [Test]
        public async Task Lengths_that_are_only_told_cost_no_memory()
        {
            using var server = new Pretender(socket =>
            {
                for (uint? xid; (xid = Pretender.ReceivePacket(socket)) != null;)
                {
                    socket.Send(Pretender.Packet(xid.Value, 3, 0, new byte[1390], 0x7fffff00));
                }
            });
            var options = new NetSwapOptions(server.Address) { Reconnect = false, MaxReply = uint.MaxValue };
            NetSwapClient client = await NetSwapClient.ConnectAsync(options);
            long before = GC.GetTotalMemory(true);
            List<Task<byte[]>> calls = Enumerable.Range(0, 200).Select(_ => client.ResolveAsync(default).AsTask()).ToList();
            await Task.Delay(300);
            Assert.That(GC.GetTotalMemory(true) - before, Is.LessThan(64 * 1024 * 1024));
            client.Dispose();
            foreach (Task<byte[]> call in calls)
            {
                Assert.That((await Place.RefusedAsync(() => call)).Kind, Is.EqualTo(NetSwapErrorKind.Closed));
            }
        }

        [Test]
        public async Task Connections_that_come_and_go_leave_nothing_behind()
        {
            using var server = new Pretender(_ => Thread.Sleep(2));
            NetSwapOptions options = Fast(server.Address);
            options.FirstReconnectDelay = options.LongestReconnectDelay = TimeSpan.FromMilliseconds(1);
            int before = OpenFiles();
            Assert.That(before, Directory.Exists("/proc/self/fd") ? Is.GreaterThan(3) : Is.Zero);
            NetSwapClient client = await NetSwapClient.ConnectAsync(options);
            await Place.UntilAsync(() => server.Connections > 50);
            client.Dispose();

            // One that was made just before may not have been accepted yet.
            await Task.Delay(100);
            await Place.UntilAsync(() => server.Open == 0);
            int connections = server.Connections;
            await Task.Delay(100);
            Assert.That(server.Connections, Is.EqualTo(connections));
            Assert.That(client.IsClosed);
            await Place.UntilAsync(() => OpenFiles() <= before + 5);
        }

        // Descriptors of this process, where the system tells.
        private static int OpenFiles() =>
            Directory.Exists("/proc/self/fd") ? Directory.GetFileSystemEntries("/proc/self/fd").Length : 0;

        private static Action<Socket> Saying(byte[] bytes) => socket =>
        {
            socket.Send(bytes);
            Pretender.Drain(socket);
        };

        private static NetSwapOptions Fast(string address) => new NetSwapOptions(address)
        {
            RequestTimeout = TimeSpan.FromMilliseconds(300), ConnectTimeout = TimeSpan.FromMilliseconds(300),
            FirstReconnectDelay = TimeSpan.FromMilliseconds(5), LongestReconnectDelay = TimeSpan.FromMilliseconds(20),
        };

        private void Hear(object? sender, UnobservedTaskExceptionEventArgs error)
        {
            lock (astray)
            {
                astray.Add(error.Exception);
            }
        }
    }
}
