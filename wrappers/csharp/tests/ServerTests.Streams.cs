#nullable enable

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <content>Streams up and down.</content>
    public sealed partial class ServerTests
    {
        [Test]
        public async Task Streams_go_up_and_down_with_progress()
        {
            byte[] data = Random(3_000_001);
            var up = new List<long>();
            NetworkPointer pointer = await client.CreateFromAsync(
                new Dripping(data), RecordAccess.Read, data.Length, new Hearer(up.Add));
            Assert.That(up, Is.Ordered);
            Assert.That(up.Last(), Is.EqualTo(data.Length));
            Assert.That(up.Count, Is.GreaterThan(1));

            var down = new List<long>();
            var into = new MemoryStream();
            long length = await other.ResolveIntoAsync(pointer, into, new Hearer(down.Add));
            Assert.That(length, Is.EqualTo(data.Length));
            Assert.That(into.ToArray().AsSpan().SequenceEqual(data));
            Assert.That(down, Is.Ordered);
            Assert.That(down.Last(), Is.EqualTo(data.Length));
            Assert.That(down.Count, Is.GreaterThan(10));

            Assert.That(await client.ReplaceFromAsync(pointer, Text("abc"), 2), Is.EqualTo(2));
            Assert.That(await client.WriteRangeFromAsync(pointer, 2, Text("c")), Is.EqualTo(3));
            AppendResult appended = await client.AppendFromAsync(pointer, Text("d"));
            Assert.That((appended.Version, appended.Offset), Is.EqualTo((4ul, 3L)));
            Assert.That(await client.ResolveAsync(pointer), Is.EqualTo(Bytes("abcd")));
            Assert.That(await client.CompareAndReplaceFromAsync(pointer, 4, Text("")), Is.EqualTo(5));
            Assert.That(await client.ResolveIntoAsync(pointer, into), Is.Zero);
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task Streams_that_fail_end_early_or_are_given_up_change_nothing()
        {
            NetworkPointer pointer = await client.CreateAsync(Bytes("old"));
            NetSwapException failed = await Place.RefusedAsync(
                () => client.ReplaceFromAsync(pointer, new Failing(), 10).AsTask());
            Assert.That((failed.Kind, failed.Outcome), Is.EqualTo((NetSwapErrorKind.Stream, RequestOutcome.NotDone)));
            Assert.That(failed.InnerException, Is.InstanceOf<IOException>());
            NetSwapException tooShort = await Place.RefusedAsync(
                () => client.ReplaceFromAsync(pointer, new MemoryStream(new byte[9]), 10).AsTask());
            Assert.That(tooShort.Kind, Is.EqualTo(NetSwapErrorKind.Stream));

            using var giving = new CancellationTokenSource();
            var endless = new Dripping(new byte[60_000_000]);
            await Place.FailsAsync<CallCanceledException>(() => client.ReplaceFromAsync(
                pointer, endless, 60_000_000, new Hearer(done => Cancel(done > 1_000_000, giving)), giving.Token).AsTask());

            // One that never gives anything, and does not listen to tokens either.
            using var soon = new CancellationTokenSource(20);
            await Place.FailsAsync<CallCanceledException>(
                () => client.ReplaceFromAsync(pointer, new Stuck(), 10, null, soon.Token).AsTask());
            await Place.FailsAsync<FormatException>(() => client.ReplaceFromAsync(
                pointer, new Dripping(new byte[1_000_000]), 1_000_000, new Hearer(_ => throw new FormatException())).AsTask());
            Assert.That(await client.ResolveAsync(pointer), Is.EqualTo(Bytes("old")));

            await client.ReplaceAsync(pointer, new byte[20_000_000]);
            NetSwapException full = await Place.RefusedAsync(() => client.ResolveIntoAsync(pointer, new Failing()).AsTask());
            Assert.That((full.Kind, full.InnerException!.Message), Is.EqualTo((NetSwapErrorKind.Stream, "disk full")));
            using var later = new CancellationTokenSource();
            await Place.FailsAsync<CallCanceledException>(() => client.ResolveIntoAsync(
                pointer, new MemoryStream(), new Hearer(done => Cancel(done > 1_000_000, later)), later.Token).AsTask());
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task An_upload_that_is_refused_does_not_wait_for_its_stream()
        {
            NetworkPointer pointer = await other.CreateAsync(Bytes("not yours"));
            NetSwapException refused = await Place.RefusedAsync(
                () => client.ReplaceFromAsync(pointer, new Stuck(100_000), 10_000_000).AsTask());
            Assert.That(refused.Code, Is.EqualTo(RefusalCode.AccessViolation));
            await other.DeleteAsync(pointer);
        }

        [Test]
        public async Task A_download_that_is_given_up_while_its_stream_is_stuck_lets_others_go_on()
        {
            NetworkPointer pointer = await client.CreateAsync(new byte[20_000_000], RecordAccess.Read);
            await using NetSwapClient own = await NetSwapClient.ConnectAsync(server.Address);
            using var giving = new CancellationTokenSource();
            Task<long> stuck = own.ResolveIntoAsync(pointer, new Stuck(), null, giving.Token).AsTask();
            await Task.Delay(200);
            giving.Cancel();
            await Place.FailsAsync<CallCanceledException>(() => stuck);
            Task ping = own.PingAsync(Bytes("x")).AsTask();
            Assert.That(await Task.WhenAny(ping, Task.Delay(5000)), Is.SameAs(ping));
            await ping;
            await client.DeleteAsync(pointer);
        }

        private static void Cancel(bool now, CancellationTokenSource source)
        {
            if (now)
            {
                source.Cancel();
            }
        }

        private static MemoryStream Text(string text) => new MemoryStream(Bytes(text));

        private sealed class Hearer : IProgress<long>
        {
            private readonly Action<long> hear;

            public Hearer(Action<long> hear)
            {
                this.hear = hear;
            }

            public void Report(long value) => hear(value);
        }

        /// <summary>Gives few bytes at a time, and does not know its length.</summary>
        private sealed class Dripping : MemoryStream
        {
            public Dripping(byte[] data)
                : base(data)
            {
            }

            public override bool CanSeek => false;

            public override ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default) =>
                base.ReadAsync(destination.Slice(0, Math.Min(destination.Length, 10_007)), cancellationToken);
        }

        private sealed class Failing : MemoryStream
        {
            public override ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default) =>
                throw new IOException("no disk");

            public override ValueTask WriteAsync(
                ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
                throw new IOException("disk full");
        }

        /// <summary>Gives so many bytes, and then nothing, for ever.</summary>
        private sealed class Stuck : MemoryStream
        {
            private readonly int most;
            private int given;

            public Stuck(int most = 0)
            {
                this.most = most;
            }

            public override async ValueTask<int> ReadAsync(
                Memory<byte> destination, CancellationToken cancellationToken = default)
            {
                if (given >= most)
                {
                    await new TaskCompletionSource<bool>().Task;
                }

                int count = Math.Min(most - given, destination.Length);
                given += count;
                return count;
            }

            public override async ValueTask WriteAsync(
                ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
                await Task.Delay(Timeout.Infinite, cancellationToken);
        }
    }
}
