#nullable enable

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NetSwap.Wire;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>
    /// The codec, byte for byte: every request and every reply of the conformance suite's transcripts is read, made again, and
    /// compared with what the file has.
    /// </summary>
    public sealed class CodecTests
    {
        private static readonly Lazy<List<Transcript>> Transcripts = new Lazy<List<Transcript>>(Transcript.All);

        // Bytes of operands by opcode, and the operations whose data follow them.
        private static readonly int[] Operands = { 0, 8, 8, 8, 8, 8, 16, 0, 0, 8, 16, 12, 8, 16, 20, 16, 8, 0, 0, 24, 8 };
        private static readonly int[] WithData = { 0, 3, 8, 11, 12, 13 };

        [Test]
        public void The_requests_of_all_transcripts_are_made_as_the_files_have_them()
        {
            int made = 0;
            var opcodes = new HashSet<byte>();
            foreach (Transcript one in Transcripts.Value)
            {
                foreach (KeyValuePair<string, List<byte>> stream in one.Streams.Where(stream => stream.Key[1] == '>'))
                {
                    foreach (Message message in Message.Of(stream.Value.ToArray()))
                    {
                        if (!TryRequest(message, out Request again))
                        {
                            continue;
                        }

                        Assert.That(Encoded(message.Xid, again), Is.EqualTo(message.Bytes), one.Title);
                        opcodes.Add(message.Code);
                        made++;
                    }
                }
            }

            Assert.That(made, Is.GreaterThan(2000));
            Assert.That(opcodes, Has.Count.EqualTo(21));
        }

        [Test]
        public void The_replies_of_all_transcripts_are_read_and_are_the_same_again()
        {
            int read = 0;
            var codes = new HashSet<byte>();
            foreach (Transcript one in Transcripts.Value)
            {
                foreach (string key in one.Streams.Keys.Where(key => key[1] == '<'))
                {
                    one.Streams.TryGetValue(key[0] + ">", out List<byte>? sent);
                    List<Message> requests = Message.Of((sent ?? new List<byte>()).ToArray()).Where(m => m.Code != 255).ToList();
                    ILookup<uint, Message> asked = requests.ToLookup(message => message.Xid);
                    foreach (Message message in Message.Of(one.Streams[key].ToArray()))
                    {
                        byte[]? again = ReadAgain(message, asked[message.Xid].ToList());
                        if (again != null)
                        {
                            Assert.That(again, Is.EqualTo(message.Payload), one.Title);
                            codes.Add(message.Code);
                            read++;
                        }
                    }
                }
            }

            Assert.That(read, Is.GreaterThan(2000));
            Assert.That(codes, Has.Count.GreaterThanOrEqualTo(10));
        }

        [Test]
        public void Packets_are_found_however_the_stream_is_cut()
        {
            byte[] stream = Transcripts.Value.Where(one => one.Title.StartsWith("2.2-", StringComparison.Ordinal))
                .SelectMany(one => one.Streams.Values.SelectMany(bytes => bytes)).ToArray();
            List<string> whole = Fragments(stream, stream.Length);
            Assert.That(whole, Has.Count.GreaterThan(20));
            foreach (int size in new[] { 1, 2, 3, 7, 11, 1000 })
            {
                Assert.That(Fragments(stream, size), Is.EqualTo(whole));
            }
        }

        // The request that a message is, made by the codec; none where no client would make it.
        private static bool TryRequest(Message message, out Request request)
        {
            request = default;
            byte code = message.Code;
            byte[] p = message.Payload;
            int most = code == 16 ? 1 : code == 0 || code == 1 || code == 18 ? 7 : 0;
            if (code >= Operands.Length || p.Length < Operands[code] || message.Access > most
                || (!WithData.Contains(code) && p.Length > Operands[code]))
            {
                return false;
            }

            var access = (RecordAccess)message.Access;
            NetworkPointer pointer = Operands[code] >= 8 ? new NetworkPointer(U64(p, 0)) : default;
            Body data = Body.Of(p.AsMemory(Operands[code]));
            switch ((Opcode)code)
            {
                case Opcode.CreateRecord: request = Request.CreateRecord(access, data); break;
                case Opcode.UpdateRecordPermissions: request = Request.UpdateRecordPermissions(pointer, access); break;
                case Opcode.ResolvePointer: request = Request.ResolvePointer(pointer); break;
                case Opcode.ReplaceRecord: request = Request.ReplaceRecord(pointer, data); break;
                case Opcode.DeleteRecord: request = Request.DeleteRecord(pointer); break;
                case Opcode.TakeoverRecord: request = Request.TakeoverRecord(pointer); break;
                case Opcode.TransferRecord: request = Request.TransferRecord(pointer, new OwnerHash(U64(p, 8))); break;
                case Opcode.Identify: request = Request.Identify(); break;
                case Opcode.Ping: request = Request.Ping(p); break;
                case Opcode.StatRecord: request = Request.StatRecord(pointer); break;
                case Opcode.ReadRange: request = Request.ReadRange(pointer, U32(p, 8), U32(p, 12)); break;
                case Opcode.WriteRange: request = Request.WriteRange(pointer, U32(p, 8), data); break;
                case Opcode.Append: request = Request.Append(pointer, data); break;
                case Opcode.CompareAndReplace: request = Request.CompareAndReplace(pointer, U64(p, 8), data); break;
                case Opcode.FetchAdd: request = Request.FetchAdd(pointer, U32(p, 8), unchecked((long)U64(p, 12))); break;
                case Opcode.ResolveIfChanged: request = Request.ResolveIfChanged(pointer, U64(p, 8)); break;
                case Opcode.WatchRecord: request = Request.WatchRecord(pointer, message.Access == 1); break;
                case Opcode.ListRecords: request = Request.ListRecords(); break;
                case Opcode.ReserveRecord: request = Request.ReserveRecord(access); break;
                case Opcode.SetLifetime:
                    request = Request.SetLifetime(pointer, U32(p, 8), U32(p, 12), new OwnerHash(U64(p, 16)));
                    break;
                default: request = Request.RequestOwnership(pointer); break;
            }

            return true;
        }

        private static byte[] Encoded(uint xid, Request request)
        {
            var lane = new Lane();
            lane.Begin(xid, request);
            var output = new Output();
            output.Push(lane);
            var bytes = new MemoryStream();
            var buffer = new byte[1400];
            for (int length; (length = output.Take(buffer, out _)) > 0;)
            {
                bytes.Write(buffer, 0, length);
            }

            return bytes.ToArray();
        }

        // The payload of a message from the server, read and made again; none where it cannot be known what it answers.
        private static byte[]? ReadAgain(Message message, List<Message> asked)
        {
            byte[] payload = message.Payload;
            if (message.Code == 11)
            {
                // The request of a watch may be one of several with its id: what data it pushes is told by the length.
                bool push = message.Access == 2 || (message.Access == 1 && payload.Length > 8);
                Lengths lengths = ReplyRules.OfNotification(message.Access, push);
                Assert.That(lengths.Allow(payload.Length));
                int fixedLength = (int)lengths.Fixed;
                Assert.That(ReplyReader.TryReadNotification(
                    message.Access, payload.AsSpan(0, fixedLength), payload.Skip(fixedLength).ToArray(), push, out RecordChange change));
                return Again(change);
            }

            if (message.Code == 255 || message.Code == 4 || asked.Count != 1)
            {
                return null;
            }

            var opcode = (Opcode)asked[0].Code;
            var code = (ReplyCode)message.Code;
            if (code == ReplyCode.Ok && opcode == Opcode.Ping)
            {
                // The echo is compared while it arrives.
                return asked[0].Payload;
            }

            if (asked[0].Code >= Operands.Length)
            {
                return null;
            }

            Lengths allowed = ReplyRules.Of(opcode, code, message.Access, asked[0].Payload.Length);
            Assert.That(allowed.Allow(payload.Length), $"{code} to {opcode}");
            int length = (int)(payload.Length - allowed.DataIn(payload.Length));
            Assert.That(ReplyReader.TryRead(
                opcode, code, message.Access, payload.AsSpan(0, length), payload.Skip(length).ToArray(), out Reply reply));
            return Again(opcode, reply);
        }

        private static byte[] Again(Opcode opcode, Reply reply)
        {
            switch (reply.Value)
            {
                case Refusal refusal:
                    return refusal.Code == RefusalCode.RecordTooLarge ? Joined(Of32((long)refusal.Limit!.Value))
                        : refusal.Limit.HasValue || refusal.Version.HasValue
                            ? Joined(Of64(refusal.Limit ?? refusal.Version!.Value)) : Array.Empty<byte>();
                case ServerIdentity who:
                    return Joined(
                        Of64(who.Owner.Value), Of16(who.Protocol), Of16(who.PacketLimit), Of32(who.RecordLimit),
                        Of32((long)who.Grace.TotalSeconds));
                case RecordStat stat:
                    return Joined(
                        Of32(stat.Length), Of64(stat.Version), Of64(stat.Owner.Value),
                        new[] { (byte)stat.Access, stat.IsReserved ? (byte)1 : (byte)0 },
                        Of32(stat.Expires.HasValue ? (long)stat.Expires.Value.TotalSeconds : uint.MaxValue));
                case NetworkPointer[] pointers:
                    return pointers.SelectMany(pointer => Of64(pointer.Value)).ToArray();
            }

            switch (opcode)
            {
                case Opcode.ResolvePointer:
                    return reply.Data;
                case Opcode.ResolveIfChanged:
                    return reply.Code == ReplyCode.NotModified ? reply.Data : Joined(Of64(reply.First), reply.Data);
                case Opcode.ReadRange:
                    return Joined(Of64(reply.First), Of32((long)reply.Second), reply.Data);
                case Opcode.Append:
                    return Joined(Of64(reply.First), Of32((long)reply.Second));
                case Opcode.FetchAdd:
                    return Joined(Of64(reply.First), Of64(reply.Second));
                case Opcode.CreateRecord:
                case Opcode.ReserveRecord:
                case Opcode.ReplaceRecord:
                case Opcode.WriteRange:
                case Opcode.CompareAndReplace:
                case Opcode.WatchRecord:
                    return Of64(reply.First);
                default:
                    return Array.Empty<byte>();
            }
        }

        private static byte[] Again(RecordChange change)
        {
            switch (change.Kind)
            {
                case ChangeKind.Changed:
                    return Joined(Of64(change.Version), change.Data.ToArray());
                case ChangeKind.Range:
                    return Joined(Of64(change.Version), Of32(change.Offset), change.Data.ToArray());
                case ChangeKind.Access:
                    return new[] { (byte)change.Access };
                case ChangeKind.Owner:
                case ChangeKind.OwnershipRequested:
                    return Of64(change.Owner.Value);
                default:
                    return Array.Empty<byte>();
            }
        }

        // The packets of a stream that comes in pieces of this size, as text.
        private static List<string> Fragments(byte[] stream, int size)
        {
            var found = new List<string>();
            var reader = new PacketReader();
            var payload = new List<byte>();
            for (int from = 0; from < stream.Length; from += size)
            {
                ReadOnlySpan<byte> piece = stream.AsSpan(from, Math.Min(size, stream.Length - from));
                for (int at = 0; reader.Next(piece, at); at = reader.End)
                {
                    payload.AddRange(piece.Slice(reader.Start, reader.End - reader.Start).ToArray());
                    if (reader.Closes)
                    {
                        Packet p = reader.Packet;
                        found.Add($"{p.Xid} {p.Remaining} {p.Code} {p.Access} {BitConverter.ToString(payload.ToArray())}");
                        payload.Clear();
                    }
                }
            }

            return found;
        }

        private static byte[] Joined(params byte[][] parts) => parts.SelectMany(part => part).ToArray();

        private static byte[] Of64(ulong value)
        {
            var bytes = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
            return bytes;
        }

        private static byte[] Of32(long value) => Of64((ulong)value).Skip(4).ToArray();

        private static byte[] Of16(int value) => Of64((ulong)value).Skip(6).ToArray();

        private static ulong U64(byte[] from, int at) => BinaryPrimitives.ReadUInt64BigEndian(from.AsSpan(at));

        private static uint U32(byte[] from, int at) => BinaryPrimitives.ReadUInt32BigEndian(from.AsSpan(at));

        /// <summary>A complete message of a stream, put together by rules that are written here once more.</summary>
        private sealed class Message
        {
            public uint Xid { get; private set; }

            public byte Code { get; private set; }

            public byte Access { get; private set; }

            public byte[] Bytes { get; private set; } = Array.Empty<byte>();

            public byte[] Payload { get; private set; } = Array.Empty<byte>();

            /// <summary>All of them; those that break the rules are left out.</summary>
            public static List<Message> Of(byte[] stream)
            {
                var found = new List<Message>();
                var open = new Dictionary<uint, (Message Message, long Left, List<byte> Bytes, List<byte> Payload)>();
                for (int at = 0; at + 10 <= stream.Length;)
                {
                    uint xid = U32(stream, at);
                    uint remaining = U32(stream, at + 4);
                    byte code = stream[at + 8];
                    byte access = stream[at + 9];
                    int length = (int)Math.Min(remaining, 1390);
                    if (at + 10 + length > stream.Length)
                    {
                        break;
                    }

                    if (code == 255 || !open.TryGetValue(xid, out var message))
                    {
                        message = (
                            new Message { Xid = xid, Code = code, Access = access }, remaining, new List<byte>(), new List<byte>());
                    }

                    message.Bytes.AddRange(stream.Skip(at).Take(10 + length));
                    message.Payload.AddRange(stream.Skip(at + 10).Take(length));
                    at += 10 + length;
                    open.Remove(xid);
                    if (message.Left != remaining || message.Message.Code != code || message.Message.Access != access)
                    {
                        continue;
                    }

                    message.Left -= length;
                    if (remaining > 1390)
                    {
                        open[xid] = message;
                        continue;
                    }

                    message.Message.Bytes = message.Bytes.ToArray();
                    message.Message.Payload = message.Payload.ToArray();
                    found.Add(message.Message);
                }

                return found;
            }
        }
    }
}
