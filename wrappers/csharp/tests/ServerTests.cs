#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>Against the real server, on each of its runtimes.</summary>
    [TestFixture("tokio")]
    [TestFixture("smol")]
    [TestFixture("blocking")]
    public sealed partial class ServerTests
    {
        private readonly string runtime;
        private Server server = null!;
        private NetSwapClient client = null!;
        private NetSwapClient other = null!;

        public ServerTests(string runtime)
        {
            this.runtime = runtime;
        }

        [OneTimeSetUp]
        public async Task Start()
        {
            server = Server.Start($"--runtime {runtime} --max-record 64MiB");
            client = await NetSwapClient.ConnectAsync("netswap://" + server.Address);
            other = await NetSwapClient.ConnectAsync(
                new NetSwapOptions(server.Address) { Bind = IPAddress.Parse("127.0.0.2") });
        }

        [OneTimeTearDown]
        public async Task Stop()
        {
            await client.CloseAsync();
            await other.DisposeAsync();
            server.Dispose();
        }

        [Test]
        public async Task Records_are_made_read_changed_in_part_and_deleted()
        {
            NetworkPointer pointer = await client.CreateAsync(Bytes("hello"), RecordAccess.Read);
            Assert.That(await other.ResolveAsync(pointer), Is.EqualTo(Bytes("hello")));
            Assert.That(await client.WriteRangeAsync(pointer, 0, Bytes("H")), Is.EqualTo(2));
            AppendResult appended = await client.AppendAsync(pointer, Bytes("!"));
            Assert.That((appended.Version, appended.Offset), Is.EqualTo((3ul, 5L)));
            RecordRange range = await other.ReadRangeAsync(pointer, 4, 100);
            Assert.That((range.Version, range.RecordLength), Is.EqualTo((3ul, 6L)));
            Assert.That(range.Data, Is.EqualTo(Bytes("o!")));
            Assert.That(await other.ResolveIfChangedAsync(pointer, 3), Is.Null);
            RecordSnapshot? whole = await other.ResolveIfChangedAsync(pointer);
            Assert.That(whole!.Value.Version, Is.EqualTo(3));
            Assert.That(whole.Value.Data, Is.EqualTo(Bytes("Hello!")));

            NetSwapException refused = await Place.RefusedAsync(() => other.ReplaceAsync(pointer, Bytes("mine")).AsTask());
            Assert.That(refused.Kind, Is.EqualTo(NetSwapErrorKind.Refused));
            Assert.That(refused.Code, Is.EqualTo(RefusalCode.AccessViolation));
            Assert.That(refused.Outcome, Is.EqualTo(RequestOutcome.NotDone));
            Assert.That(refused.IsRetryable, Is.False);
            Assert.That(refused.Message, Is.EqualTo("the record's owner does not allow this to others"));

            NetSwapException late = await Place.RefusedAsync(
                () => client.CompareAndReplaceAsync(pointer, 1, Bytes("late")).AsTask());
            Assert.That((late.Code, late.CurrentVersion), Is.EqualTo((RefusalCode.VersionMismatch, 3ul)));

            ServerIdentity me = await client.IdentifyAsync();
            RecordStat stat = await other.StatAsync(pointer);
            Assert.That((stat.Length, stat.Version, stat.Owner, stat.Access), Is.EqualTo((6L, 3ul, me.Owner, RecordAccess.Read)));
            Assert.That((stat.IsReserved, stat.Expires), Is.EqualTo((false, (TimeSpan?)null)));
            Assert.That(await client.ListAsync(), Does.Contain(pointer));
            await client.DeleteAsync(pointer);
            NetSwapException gone = await Place.RefusedAsync(() => other.ResolveAsync(pointer).AsTask());
            Assert.That(gone.Code, Is.EqualTo(RefusalCode.AddressFault));
        }

        [Test]
        public async Task Rights_owners_and_lifetimes()
        {
            NetworkPointer pointer = await client.ReserveAsync();
            await client.SetPermissionsAsync(pointer, RecordAccess.All);
            await client.SetLifetimeAsync(
                pointer, new RecordLifetime { Grace = TimeSpan.FromSeconds(10), TimeToLive = TimeSpan.FromSeconds(59.5) });
            Assert.That((await client.StatAsync(pointer)).Expires, Is.EqualTo(TimeSpan.FromSeconds(60)));
            await using RecordWatch watch = client.WatchAsync(pointer, WatchMode.Versions);
            Assert.That(await watch.StartAsync(), Is.Zero);
            await other.RequestOwnershipAsync(pointer);
            OwnerHash owner = (await other.IdentifyAsync()).Owner;
            Assert.That(await watch.MoveNextAsync());
            Assert.That((watch.Current.Kind, watch.Current.Owner), Is.EqualTo((ChangeKind.OwnershipRequested, owner)));
            await client.TransferAsync(pointer, owner);
            Assert.That(await watch.MoveNextAsync());
            Assert.That((watch.Current.Kind, watch.Current.Owner), Is.EqualTo((ChangeKind.Owner, owner)));
            await other.SetPermissionsAsync(pointer, RecordAccess.Takeover);
            await client.TakeoverAsync(pointer);
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task Updates_by_many_at_once_lose_nothing_and_counters_count()
        {
            NetworkPointer pointer = await client.CreateAsync(new byte[8], RecordAccess.ReadWrite);
            IEnumerable<Task> updates = new[] { client, other }.SelectMany(one => Enumerable.Range(0, 15).Select(
                _ => one.UpdateAsync(pointer, old => old.Append((byte)'x').ToArray()).AsTask()));
            await Task.WhenAll(updates);
            Assert.That((await client.StatAsync(pointer)).Length, Is.EqualTo(38));
            AddResult[] sums = await Task.WhenAll(
                Enumerable.Range(0, 100).Select(_ => other.FetchAddAsync(pointer, 0, -1).AsTask()));
            Assert.That(sums.Select(sum => sum.Value).Distinct().Count(), Is.EqualTo(100));
            Assert.That(sums.Min(sum => sum.Value), Is.EqualTo(-100));
            await Place.FailsAsync<FormatException>(
                () => client.UpdateAsync(pointer, _ => throw new FormatException("mine")).AsTask());
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task A_thousand_calls_of_many_threads_beside_ten_megabytes_in_both_directions()
        {
            byte[] data = Random(10_000_000);
            Task<NetworkPointer> upload = client.CreateAsync(data, RecordAccess.Read).AsTask();
            Task[] pings = Enumerable.Range(0, 1000)
                .Select(number => Task.Run(async () => await other.PingAsync(Bytes("ping " + number)))).ToArray();
            NetworkPointer pointer = await upload;
            await Task.WhenAll(pings);
            byte[][] read = await Task.WhenAll(client.ResolveAsync(pointer).AsTask(), other.ResolveAsync(pointer).AsTask());
            Assert.That(read.All(one => one.AsSpan().SequenceEqual(data)));
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task A_read_waits_for_a_reserved_record_as_long_as_it_is_told()
        {
            NetworkPointer pointer = await client.ReserveAsync(RecordAccess.Read);
            NetSwapException late = await Place.RefusedAsync(
                () => other.ResolveWaitAsync(pointer, TimeSpan.FromMilliseconds(50)).AsTask());
            Assert.That((late.Kind, late.IsRetryable), Is.EqualTo((NetSwapErrorKind.TimedOut, true)));
            Task<byte[]> waits = other.ResolveWaitAsync(pointer).AsTask();
            await client.ReplaceAsync(pointer, Bytes("map"));
            Assert.That(await Place.InTimeAsync(waits), Is.EqualTo(Bytes("map")));

            NetworkPointer never = await client.ReserveAsync();
            using var giving = new CancellationTokenSource(20);
            CallCanceledException canceled = await Place.FailsAsync<CallCanceledException>(
                () => client.ResolveWaitAsync(never, cancellationToken: giving.Token).AsTask());
            Assert.That((canceled.CancellationToken, canceled.Outcome), Is.EqualTo((giving.Token, RequestOutcome.NotDone)));
            await client.PingAsync();
        }

        [Test]
        public async Task Tokens_give_calls_up_before_they_begin_and_at_any_time_after()
        {
            byte[] data = Random(3_000_000);
            NetworkPointer pointer = await client.CreateAsync(data);
            var random = new Random(3);
            int canceled = 0;
            for (int round = 0; round < 60; round++)
            {
                using var giving = new CancellationTokenSource();
                Task<byte[]> read = client.ResolveAsync(pointer, giving.Token).AsTask();
                await Task.Delay(random.Next(4));
                giving.Cancel();
                try
                {
                    Assert.That((await Place.InTimeAsync(read)).Length, Is.EqualTo(data.Length));
                }
                catch (CallCanceledException)
                {
                    canceled++;
                }
            }

            Assert.That(canceled, Is.GreaterThan(0));
            await Place.FailsAsync<CallCanceledException>(
                () => client.DeleteAsync(pointer, new CancellationToken(true)).AsTask());
            Assert.That((await client.ResolveAsync(pointer)).AsSpan().SequenceEqual(data));
            await client.DeleteAsync(pointer);
        }

        private static byte[] Bytes(string text) => System.Text.Encoding.ASCII.GetBytes(text);

        private static byte[] Random(int length)
        {
            var bytes = new byte[length];
            new Random(length).NextBytes(bytes);
            return bytes;
        }
    }
}
