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
    /// <summary>Every argument is checked, and what is thrown names it.</summary>
    public sealed class ArgumentTests
    {
        private const RecordAccess Wrong = (RecordAccess)8;

        private static readonly TimeSpan Negative = TimeSpan.FromSeconds(-1);

        [Test]
        public void Options_of_connecting()
        {
            var bad = new List<(string Name, NetSwapOptions? Options)>
            {
                ("options", null), ("Address", new NetSwapOptions(null!)),
                ("ConnectTimeout", Some(o => o.ConnectTimeout = TimeSpan.Zero)),
                ("RequestTimeout", Some(o => o.RequestTimeout = Negative)),
                ("FirstReconnectDelay", Some(o => o.FirstReconnectDelay = Negative)),
                ("LongestReconnectDelay", Some(o => o.LongestReconnectDelay = TimeSpan.Zero)),
                ("MaxReply", Some(o => o.MaxReply = -1)), ("MaxReply", Some(o => o.MaxReply = 1L << 32)),
                ("MaxRequests", Some(o => o.MaxRequests = 0)),
            };
            string[] addresses =
            {
                "", " ", "host:port", "host:0", "host:65536", "host:", ":1", "a b:1", "[host]:1", "netswap://", "a/b:1", "host:+1",
            };
            bad.AddRange(addresses.Select(address => ("Address", (NetSwapOptions?)new NetSwapOptions(address))));
            foreach ((string name, NetSwapOptions? options) in bad)
            {
                ArgumentException error = Assert.Catch<ArgumentException>(
                    () => NetSwapClient.ConnectAsync(options!), name + " " + options?.Address)!;
                Assert.That(error.ParamName, Is.EqualTo(name));
            }

            Assert.That(Assert.Throws<ArgumentNullException>(
                () => NetSwapClient.ConnectAsync((string)null!))!.ParamName, Is.EqualTo("address"));
        }

        [Test]
        public async Task Addresses_of_all_sorts()
        {
            using var server = new Pretender(Pretender.Drain, false);
            string port = server.Address.Split(':')[1];
            string[] good = { "127.0.0.1:" + port, "netswap://127.0.0.1:" + port, "netswap://localhost:" + port + "/00c0ffee00c0ffee" };
            foreach (string address in good)
            {
                var options = new NetSwapOptions(address) { ConnectTimeout = TimeSpan.FromMilliseconds(200) };
                NetSwapException silent = await Place.RefusedAsync(() => NetSwapClient.ConnectAsync(options).AsTask());
                Assert.That(silent.Message, Does.EndWith("no answer within 200 ms"));
            }

            foreach (string address in new[] { "[::1]:1", "::1", "[::1]" })
            {
                var options = new NetSwapOptions(address) { ConnectTimeout = TimeSpan.FromMilliseconds(200) };
                Assert.That(
                    (await Place.RefusedAsync(() => NetSwapClient.ConnectAsync(options).AsTask())).Message, Does.Contain("[::1]:"));
            }
        }

        [Test]
        public async Task Arguments_of_calls()
        {
            using var server = new Pretender(Pretender.Drain);
            using NetSwapClient c = await NetSwapClient.ConnectAsync(server.Address);
            NetworkPointer p = default;
            byte[] data = { 1 };
            var stream = new MemoryStream(data);
            var closed = new MemoryStream();
            closed.Dispose();
            var long32 = 1L << 32;
            var bad = new (string Name, Action Call)[]
            {
                ("access", () => c.CreateAsync(data, Wrong)), ("access", () => c.ReserveAsync(Wrong)),
                ("access", () => c.SetPermissionsAsync(p, Wrong)), ("offset", () => c.ReadRangeAsync(p, -1, 1)),
                ("offset", () => c.ReadRangeAsync(p, long32, 1)), ("length", () => c.ReadRangeAsync(p, 0, -1)),
                ("length", () => c.ReadRangeAsync(p, 0, long32)), ("offset", () => c.WriteRangeAsync(p, -1, data)),
                ("offset", () => c.FetchAddAsync(p, long32, 1)), ("timeout", () => c.ResolveWaitAsync(p, TimeSpan.Zero)),
                ("timeout", () => c.ResolveWaitAsync(p, TimeSpan.FromSeconds(-2))),
                ("change", () => c.UpdateAsync(p, (Func<byte[], ReadOnlyMemory<byte>>)null!)),
                ("change", () => c.UpdateAsync(p, (Func<byte[], CancellationToken, ValueTask<ReadOnlyMemory<byte>>>)null!)),
                ("lifetime", () => c.SetLifetimeAsync(p, null!)),
                ("Grace", () => c.SetLifetimeAsync(p, new RecordLifetime { Grace = Negative })),
                ("Grace", () => c.SetLifetimeAsync(p, new RecordLifetime { Grace = TimeSpan.FromSeconds(uint.MaxValue) })),
                ("TimeToLive", () => c.SetLifetimeAsync(p, new RecordLifetime { TimeToLive = TimeSpan.Zero })),
                ("TimeToLive", () => c.SetLifetimeAsync(p, new RecordLifetime { TimeToLive = TimeSpan.MaxValue })),
                ("source", () => c.CreateFromAsync(null!)), ("source", () => c.ReplaceFromAsync(p, closed)),
                ("length", () => c.CreateFromAsync(stream, length: -1)), ("length", () => c.AppendFromAsync(p, stream, long32)),
                ("access", () => c.CreateFromAsync(stream, Wrong)), ("offset", () => c.WriteRangeFromAsync(p, -1, stream)),
                ("source", () => c.CompareAndReplaceFromAsync(p, 1, null!)),
                ("destination", () => c.ResolveIntoAsync(p, null!)),
                ("destination", () => c.ResolveIntoAsync(p, new MemoryStream(data, false))),
                ("mode", () => c.WatchAsync(p, (WatchMode)3)), ("mode", () => c.WatchAsync(p, (WatchMode)(-1))),
            };
            foreach ((string name, Action call) in bad)
            {
                ArgumentException error = Assert.Catch<ArgumentException>(() => call(), name)!;
                Assert.That(error.ParamName, Is.EqualTo(name));
            }
        }

        [Test]
        public void Pointers_and_owners_as_text()
        {
            var pointer = new NetworkPointer(0xc0ffee00c0ffee);
            Assert.That(pointer.ToString(), Is.EqualTo("00c0ffee00c0ffee"));
            Assert.That(NetworkPointer.Parse("00C0ffee00c0FFEE"), Is.EqualTo(pointer));
            Assert.That(NetworkPointer.Parse("netswap://192.0.2.1:7420/00c0ffee00c0ffee"), Is.EqualTo(pointer));
            Assert.That(OwnerHash.Parse("ffffffffffffffff").Value, Is.EqualTo(ulong.MaxValue));
            Assert.That(default(OwnerHash).ToString(), Is.EqualTo("0000000000000000"));
            foreach (string text in new[] { "", "1", "0x00c0ffee00c0ff", "00c0ffee00c0ffeeg", "00c0ffee00c0ffe ", "netswap://" })
            {
                Assert.Throws<FormatException>(() => NetworkPointer.Parse(text));
                Assert.Throws<FormatException>(() => OwnerHash.Parse(text));
                Assert.That(NetworkPointer.TryParse(text, out _), Is.False);
            }

            Assert.Throws<ArgumentNullException>(() => NetworkPointer.Parse(null!));
            Assert.Throws<ArgumentNullException>(() => OwnerHash.Parse(null!));
            Assert.That(pointer == new NetworkPointer(1), Is.False);
            Assert.That(pointer != new NetworkPointer(1));
            Assert.That(pointer.Equals((object)new NetworkPointer(pointer.Value)));
            Assert.That(pointer.GetHashCode(), Is.EqualTo(new NetworkPointer(pointer.Value).GetHashCode()));
        }

        private static NetSwapOptions Some(Action<NetSwapOptions> change)
        {
            var options = new NetSwapOptions("127.0.0.1:1");
            change(options);
            return options;
        }
    }
}
