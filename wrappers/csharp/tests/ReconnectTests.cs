#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>Connections that are lost and made again, and clients that are closed.</summary>
    public sealed class ReconnectTests
    {
        [Test]
        public async Task A_server_is_started_again_calls_fail_once_and_watches_go_on()
        {
            Server first = Server.Start("--seed " + new string('0', 64));
            NetSwapClient client = await NetSwapClient.ConnectAsync(Hasty(first.Address));
            await using IAsyncEnumerator<ConnectionEvent> events = client.EventsAsync().GetAsyncEnumerator();
            NetworkPointer pointer = await client.CreateAsync(new byte[] { 1 }, RecordAccess.Read);
            await using RecordWatch watch = client.WatchAsync(pointer);
            Assert.That(await watch.MoveNextAsync());
            Task<byte[]> waits = client.ResolveWaitAsync(await client.ReserveAsync()).AsTask();
            await first.StopAsync();
            NetSwapException error = await Place.RefusedAsync(() => waits);
            Assert.That(error.IsRetryable);
            Assert.That(error.Kind, Is.EqualTo(NetSwapErrorKind.Aborted).Or.EqualTo(NetSwapErrorKind.ConnectionLost));
            Assert.That(await watch.MoveNextAsync());
            Assert.That((watch.Current.Kind, watch.IsLive), Is.EqualTo((ChangeKind.Interrupted, false)));
            Assert.That(await events.MoveNextAsync());
            Assert.That((events.Current.Kind, events.Current.Error!.Outcome),
                Is.EqualTo((ConnectionEventKind.Disconnected, RequestOutcome.NotDone)));

            // A call that is made meanwhile waits. The record with the same pointer is another one.
            Task waiting = client.PingAsync().AsTask();
            using Server second = Server.Start("--listen " + first.Address + " --seed " + new string('0', 64));
            await Place.InTimeAsync(waiting.ContinueWith(done => done.Status));
            Assert.That(waiting.Status, Is.EqualTo(TaskStatus.RanToCompletion));
            NetSwapException gone = await Place.RefusedAsync(() => watch.MoveNextAsync().AsTask());
            Assert.That(gone.Code, Is.EqualTo(RefusalCode.AddressFault));
            Assert.That(await watch.MoveNextAsync(), Is.False);

            var told = new List<ConnectionEventKind>();
            await client.CloseAsync();
            while (await events.MoveNextAsync())
            {
                told.Add(events.Current.Kind);
            }

            Assert.That(told.First(), Is.EqualTo(ConnectionEventKind.Reconnecting));
            Assert.That(told.Skip(told.Count - 2), Is.EqualTo(new[]
            {
                ConnectionEventKind.Connected, ConnectionEventKind.Closed,
            }));
            Assert.That(client.IsClosed);
            NetSwapException closed = await Place.RefusedAsync(() => client.PingAsync().AsTask());
            Assert.That((closed.Kind, closed.IsRetryable), Is.EqualTo((NetSwapErrorKind.Closed, false)));
        }

        [Test]
        public async Task A_watch_is_resumed_with_the_whole_record()
        {
            byte[] version1 = { 0, 0, 0, 0, 0, 0, 0, 1 };
            byte[] version7 = { 0, 0, 0, 0, 0, 0, 0, 7, 42 };
            int connections = 0;
            using var server = new Pretender(socket =>
            {
                bool again = connections++ > 0;
                uint xid = Pretender.ReceivePacket(socket)!.Value;
                byte[] version = again ? version7 : version1;
                socket.Send(Pretender.Packet(xid, 0, 0, version.Take(8).ToArray()));
                socket.Send(Pretender.Packet(xid, 11, 1, version));
                if (again)
                {
                    Pretender.Drain(socket);
                }
            });
            using NetSwapClient client = await NetSwapClient.ConnectAsync(Hasty(server.Address));
            var kinds = new List<ChangeKind>();
            await using RecordWatch watch = client.WatchAsync(new NetworkPointer(9));
            while (watch.Version < 7)
            {
                Assert.That(await watch.MoveNextAsync());
                kinds.Add(watch.Current.Kind);
            }

            Assert.That(kinds, Is.EqualTo(new[]
            {
                ChangeKind.Changed, ChangeKind.Interrupted, ChangeKind.Resumed, ChangeKind.Changed,
            }));
            Assert.That((watch.Data.ToArray().Single(), watch.IsLive), Is.EqualTo(((byte)42, true)));
        }

        [Test]
        public async Task Without_reconnecting_and_without_waiting()
        {
            Server server = Server.Start();
            NetSwapClient once = await NetSwapClient.ConnectAsync(new NetSwapOptions(server.Address) { Reconnect = false });
            using NetSwapClient hasty = await NetSwapClient.ConnectAsync(new NetSwapOptions(server.Address)
            {
                WaitForConnection = false, FirstReconnectDelay = TimeSpan.FromSeconds(10),
            });
            server.Dispose();
            await Place.UntilAsync(() => once.IsClosed);
            Assert.That((await Place.RefusedAsync(() => once.PingAsync().AsTask())).Kind, Is.EqualTo(NetSwapErrorKind.Closed));
            NetSwapException error = await Place.RefusedAsync(async () =>
            {
                while (true)
                {
                    await hasty.PingAsync();
                }
            });
            error = await Place.RefusedAsync(() => hasty.PingAsync().AsTask());
            Assert.That((error.Kind, error.IsRetryable), Is.EqualTo((NetSwapErrorKind.Connect, true)));
        }

        [Test]
        public async Task Calls_that_wait_for_a_connection_wait_as_long_as_their_timeout()
        {
            Server server = Server.Start();
            NetSwapOptions options = Hasty(server.Address);
            options.RequestTimeout = TimeSpan.FromMilliseconds(200);
            using NetSwapClient client = await NetSwapClient.ConnectAsync(options);
            await using IAsyncEnumerator<ConnectionEvent> events = client.EventsAsync().GetAsyncEnumerator();
            server.Dispose();
            Assert.That(await events.MoveNextAsync());
            Assert.That(events.Current.Kind, Is.EqualTo(ConnectionEventKind.Disconnected));
            NetSwapException late = await Place.RefusedAsync(() => client.PingAsync().AsTask());
            Assert.That((late.Kind, late.IsRetryable), Is.EqualTo((NetSwapErrorKind.TimedOut, true)));
            NetSwapException watch = await Place.RefusedAsync(
                () => client.WatchAsync(new NetworkPointer(1)).StartAsync().AsTask());
            Assert.That(watch.Kind, Is.EqualTo(NetSwapErrorKind.TimedOut));
        }

        [Test]
        public async Task A_write_is_never_sent_twice()
        {
            int deletions = 0;
            using var server = new Pretender(socket =>
            {
                // Every connection takes one request, and ends without an answer.
                if (Pretender.ReceivePacket(socket) != null)
                {
                    deletions++;
                }
            });
            using NetSwapClient client = await NetSwapClient.ConnectAsync(Hasty(server.Address));
            for (int round = 1; round <= 10; round++)
            {
                NetSwapException lost = await Place.RefusedAsync(() => client.DeleteAsync(new NetworkPointer(1)).AsTask());
                Assert.That((lost.Kind, lost.Outcome, lost.IsRetryable),
                    Is.EqualTo((NetSwapErrorKind.ConnectionLost, RequestOutcome.Unknown, false)));
                Assert.That(deletions, Is.EqualTo(round));
            }
        }

        [Test]
        public async Task Closing_waits_for_what_is_under_way_and_disposing_does_not()
        {
            using Server server = Server.Start();
            NetSwapClient one = await NetSwapClient.ConnectAsync(server.Address);
            Task<NetworkPointer> upload = one.CreateAsync(new byte[20_000_000]).AsTask();
            await one.DisposeAsync();
            Assert.That((await upload).Value, Is.Not.Zero);
            await one.CloseAsync();

            NetSwapClient other = await NetSwapClient.ConnectAsync(server.Address);
            Task<NetworkPointer> never = other.CreateAsync(new byte[20_000_000]).AsTask();
            other.Dispose();
            NetSwapException closed = await Place.RefusedAsync(() => never);
            Assert.That(closed.Kind, Is.EqualTo(NetSwapErrorKind.Closed));
            other.Dispose();
        }

        private static NetSwapOptions Hasty(string address) => new NetSwapOptions(address)
        {
            FirstReconnectDelay = TimeSpan.FromMilliseconds(10), LongestReconnectDelay = TimeSpan.FromMilliseconds(100),
        };
    }
}
