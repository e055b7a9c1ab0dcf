#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <content>Watches and mirrors.</content>
    public sealed partial class ServerTests
    {
        [Test]
        public async Task A_watch_tells_changes_and_keeps_a_copy()
        {
            NetworkPointer pointer = await client.CreateAsync(Bytes("state"), RecordAccess.Read);
            var seen = new List<(ChangeKind, ulong, string)>();
            await using RecordWatch watch = other.WatchAsync(pointer);
            await foreach (RecordChange change in watch)
            {
                seen.Add((change.Kind, change.Version, Letters(watch.Data)));
                Assert.That(watch.IsLive, Is.EqualTo(change.Kind != ChangeKind.Deleted));
                if (change.Version == 1)
                {
                    await client.AppendAsync(pointer, Bytes("!"));
                }
                else if (change.Version == 2)
                {
                    await client.WriteRangeAsync(pointer, 8, Bytes("?"));
                }
                else if (change.Version == 3)
                {
                    await client.ReplaceAsync(pointer, Bytes("end"));
                }
                else if (change.Version == 4)
                {
                    await client.DeleteAsync(pointer);
                }
            }

            Assert.That(seen, Is.EqualTo(new[]
            {
                (ChangeKind.Changed, 1ul, "state"), (ChangeKind.Range, 2ul, "state!"), (ChangeKind.Range, 3ul, "state!\0\0?"),
                (ChangeKind.Changed, 4ul, "end"), (ChangeKind.Deleted, 0ul, "end"),
            }));
        }

        [Test]
        public async Task A_slow_watch_folds_and_ends_with_the_newest_state()
        {
            NetworkPointer pointer = await client.CreateAsync(new byte[1000], RecordAccess.Read);
            await using RecordWatch slow = other.WatchAsync(pointer, WatchMode.Changes);
            await slow.StartAsync();
            for (int round = 0; round < 600; round++)
            {
                await client.WriteRangeAsync(pointer, round, new[] { (byte)round });
            }

            byte[] expected = await client.ResolveAsync(pointer);
            var copy = new byte[0];
            for (int taken = 0; ; taken++)
            {
                Assert.That(await slow.MoveNextAsync());
                RecordChange change = slow.Current;
                if (change.Kind == ChangeKind.Changed)
                {
                    copy = change.Data.ToArray();
                }
                else
                {
                    change.Data.CopyTo(copy.AsMemory((int)change.Offset));
                }

                if (change.Version == 601)
                {
                    break;
                }

                Assert.That(taken, Is.LessThan(400));
            }

            Assert.That(copy, Is.EqualTo(expected));
            await client.DeleteAsync(pointer);
        }

        [Test]
        public async Task A_mirror_is_the_record_whatever_happened()
        {
            NetworkPointer pointer = await client.CreateAsync(Bytes("one"), RecordAccess.Read);
            await using RecordMirror mirror = await other.MirrorAsync(pointer);
            Assert.That((Letters(mirror.Data), mirror.Version, mirror.IsLive), Is.EqualTo(("one", 1ul, true)));
            ReadOnlyMemory<byte> before = mirror.Snapshot();
            await client.WriteRangeAsync(pointer, 1, Bytes("NE and more"));
            Assert.That(await mirror.ChangedAsync(), Is.EqualTo(2));
            Assert.That((Letters(mirror.Data), Letters(before)), Is.EqualTo(("oNE and more", "one")));

            using (var soon = new CancellationTokenSource(20))
            {
                await Place.FailsAsync<CallCanceledException>(() => mirror.ChangedAsync(soon.Token).AsTask());
            }

            await client.WriteRangeAsync(pointer, 20, Bytes("x"));
            await client.ReplaceAsync(pointer, Bytes("other"));
            while (mirror.Version < 4)
            {
                await mirror.ChangedAsync();
            }

            Assert.That(Letters(mirror.Data), Is.EqualTo("other"));
            await client.DeleteAsync(pointer);
            NetSwapException ended = await Place.RefusedAsync(() => mirror.ChangedAsync().AsTask());
            Assert.That((ended.Kind, ended.Message), Is.EqualTo((NetSwapErrorKind.Ended, "the record was deleted")));
            Assert.That((mirror.IsLive, Letters(mirror.Data)), Is.EqualTo((false, "other")));
        }

        [Test]
        public async Task Watches_end_with_their_tokens_and_when_they_are_disposed_of()
        {
            NetworkPointer pointer = await client.CreateAsync(Bytes("x"), RecordAccess.Read);
            using var giving = new CancellationTokenSource();
            var seen = new List<RecordChange>();
            Task reading = Task.Run(async () =>
            {
                await foreach (RecordChange change in other.WatchAsync(pointer).WithCancellation(giving.Token))
                {
                    seen.Add(change);
                }
            });
            await Place.UntilAsync(() => seen.Count == 1);
            giving.Cancel();
            await Place.FailsAsync<CallCanceledException>(() => reading);

            RecordWatch watch = other.WatchAsync(pointer);
            await watch.StartAsync();
            Assert.That(await watch.MoveNextAsync());
            Task<bool> next = watch.MoveNextAsync().AsTask();
            await Place.FailsAsync<InvalidOperationException>(() => watch.MoveNextAsync().AsTask());
            await watch.DisposeAsync();
            Assert.That(await Place.InTimeAsync(next), Is.False);
            Assert.That(await watch.MoveNextAsync(), Is.False);
            await Place.FailsAsync<ObjectDisposedException>(async () =>
            {
                RecordWatch unused = other.WatchAsync(pointer);
                await unused.DisposeAsync();
                await unused.StartAsync();
            });

            NetSwapException refused = await Place.RefusedAsync(
                () => other.WatchAsync(new NetworkPointer(1)).StartAsync().AsTask());
            Assert.That(refused.Code, Is.EqualTo(RefusalCode.AddressFault));
            await client.DeleteAsync(pointer);
        }

        private static string Letters(ReadOnlyMemory<byte> data) => System.Text.Encoding.ASCII.GetString(data.ToArray());
    }
}
