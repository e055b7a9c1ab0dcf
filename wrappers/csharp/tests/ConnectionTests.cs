#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using NetSwap.Connections;
using NetSwap.Wire;
using NUnit.Framework;

namespace NetSwap.Tests
{
    /// <summary>The state machine of a connection, without sockets and clocks. Times are in ticks.</summary>
    public sealed class ConnectionTests
    {
        private static readonly NetworkPointer One = new NetworkPointer(1);

        [Test]
        public void Requests_leave_in_turn_and_replies_find_their_callers_in_whatever_order()
        {
            Connection machine = Machine();
            Ask(machine, "large", Request.CreateRecord(RecordAccess.None, Body.Of(Filled(2000, 1))));
            Ask(machine, "small", Request.Ping(new byte[] { 104, 105 }));
            byte[] sent = Take(machine);
            Assert.That(sent.Take(10), Is.EqualTo(Pretender.Packet(1, 0, 0, null, 2000)));
            Assert.That(sent.Skip(1400).Take(12), Is.EqualTo(Pretender.Packet(2, 8, 0, new byte[] { 104, 105 })));
            Assert.That(sent.Skip(1412), Is.EqualTo(Pretender.Packet(1, 0, 0, Filled(610, 1))));
            Assert.That(machine.WantsWrite, Is.False);
            Input(machine, Pretender.Packet(2, 0, 0, new byte[] { 104, 105 }), Pretender.Packet(1, 0, 0, Filled(8, 9)));
            Assert.That(Events(machine).Select(one => (one.Kind, one.Owner)), Is.EqualTo(new[]
            {
                (EventKind.Replied, (object)"small"), (EventKind.Replied, "large"),
            }));
            Assert.That(machine.Open, Is.Zero);
        }

        [Test]
        public void Input_may_come_byte_by_byte()
        {
            Connection machine = Machine();
            Ask(machine, "read", Request.ResolvePointer(One));
            Take(machine);
            byte[] input = Joined(
                Pretender.Packet(1, 3, 0, Filled(1390, 1), 2781), Pretender.Packet(1, 3, 0, Filled(1390, 2), 1391),
                Pretender.Packet(1, 3, 0, Filled(1, 3)));
            foreach (byte one in input)
            {
                Assert.That(machine.HandleInput(new[] { one }, 0), Is.Null);
            }

            Assert.That(
                Events(machine).Single().Reply.Data, Is.EqualTo(Joined(Filled(1390, 1), Filled(1390, 2), Filled(1, 3))));
        }

        [Test]
        public void Ids_that_are_open_are_passed_when_the_count_comes_round()
        {
            Connection machine = Machine(firstXid: uint.MaxValue - 1);
            Transaction watch = Ask(machine, "watch", Request.WatchRecord(One, false));
            var ids = new[] { "a", "b" }.Select(name => Ask(machine, name, Request.Identify()).Xid).ToList();
            Assert.That(ids, Is.EqualTo(new uint[] { uint.MaxValue, 0 }));
            Assert.That(watch.Xid, Is.EqualTo(uint.MaxValue - 1));
            Connection again = Machine(firstXid: 0);
            Ask(again, "a", Request.Identify());
            Ask(again, "b", Request.Identify());
            Assert.That(again.Open, Is.EqualTo(2));
        }

        [Test]
        public void A_request_that_is_given_up_before_it_has_left_is_never_heard_of()
        {
            Connection machine = Machine();
            Transaction one = Ask(machine, "a", Request.DeleteRecord(One));
            Assert.That(machine.Abort(one, 0), Is.EqualTo(RequestOutcome.NotDone));
            Assert.That(Take(machine), Is.Empty);
            Assert.That(machine.Open, Is.Zero);
        }

        [Test]
        public void What_is_known_of_a_request_that_is_given_up_depends_on_what_has_left()
        {
            Connection machine = Machine();
            Transaction write = Ask(machine, "a", Request.DeleteRecord(One));
            Transaction read = Ask(machine, "b", Request.StatRecord(One));
            Transaction large = Ask(machine, "c", Request.ReplaceRecord(One, Body.Of(new byte[5000])));
            Take(machine, 1500);
            Assert.That(machine.Abort(write, 0), Is.EqualTo(RequestOutcome.Unknown));
            Assert.That(machine.Abort(read, 0), Is.EqualTo(RequestOutcome.NotDone));
            Assert.That(machine.Abort(large, 0), Is.EqualTo(RequestOutcome.NotDone));
            Assert.That(machine.Abort(write, 0), Is.Null);
            Assert.That(Take(machine), Is.EqualTo(Joined(Abort(1), Abort(2), Abort(3))));

            // The ids stay reserved until the server is done with them; what comes for them is nobody's.
            Assert.That(machine.Open, Is.EqualTo(3));
            Input(machine, Pretender.Packet(1, 0, 0), Abort(2), Abort(3));
            Assert.That(machine.Open, Is.Zero);
            Assert.That(Events(machine), Is.Empty);
        }

        [Test]
        public void A_refusal_in_the_middle_of_an_upload_stops_it_with_an_abort()
        {
            Connection machine = Machine();
            Ask(machine, "a", Request.CreateRecord(RecordAccess.None, Body.Of(new byte[100_000])));
            Take(machine, 1400);
            Input(machine, Pretender.Packet(1, 1, 0));
            Assert.That(Take(machine), Is.EqualTo(Abort(1)));
            Assert.That(Events(machine).Single().Reply.Refusal!.Code, Is.EqualTo(RefusalCode.AccessViolation));
            Assert.That(machine.Open, Is.Zero);
        }

        [Test]
        public void An_upload_asks_for_more_when_little_is_left_of_what_it_was_given()
        {
            Connection machine = Machine();
            Transaction upload = Ask(machine, "a", Request.CreateRecord(RecordAccess.None, Body.Streamed(400_000)));
            machine.Provide(upload, new byte[256 * 1024]);
            while (Events(machine).Count == 0)
            {
                Assert.That(Take(machine), Is.Not.Empty);
            }

            machine.Provide(upload, new byte[400_000]);
            int rest = Take(machine, 1 << 20).Length;
            Assert.That(upload.Lane.Remaining, Is.Zero);
            Assert.That(rest, Is.GreaterThan(400_000 - (256 * 1024)));
        }

        [Test]
        public void A_transaction_times_out_its_abort_is_unanswered_and_the_connection_is_dead()
        {
            Connection machine = Machine();
            Ask(machine, "a", Request.StatRecord(One));
            Take(machine, now: 10);
            Assert.That(machine.HandleTimeout(machine.Timeout), Is.Null);
            Assert.That(machine.HandleTimeout(1010), Is.Null);
            Event ended = Events(machine).Single();
            Assert.That(ended.Failure.Kind, Is.EqualTo(FailureKind.TimedOut));
            Assert.That(ended.Failure.Outcome, Is.EqualTo(RequestOutcome.NotDone));
            Assert.That(Take(machine, now: 1010), Is.EqualTo(Abort(1)));
            Assert.That(machine.HandleTimeout(2009), Is.Null);
            Assert.That(machine.HandleTimeout(2010)!.Kind, Is.EqualTo(FaultKind.Dead));
            Assert.That(machine.Timeout, Is.EqualTo(Clock.Never));
        }

        [Test]
        public void A_connection_with_too_much_that_is_not_consumed_is_not_read()
        {
            Connection machine = Machine();
            Transaction download = Ask(machine, "a", Request.ResolvePointer(One), new RequestOptions(1000, pieces: true));
            Take(machine);
            uint remaining = 6_000_000;
            while (machine.WantsRead)
            {
                Input(machine, Pretender.Packet(1, 3, 0, Filled(1390, 7), remaining));
                remaining -= 1390;
            }

            long here = Events(machine).Where(one => one.Kind == EventKind.Piece).Sum(one => (long)one.Reply.First);
            Assert.That(here, Is.InRange(4 * 1024 * 1024, (4 * 1024 * 1024) + 70_000));
            Assert.That(machine.Timeout, Is.EqualTo(Clock.Never));
            machine.Consumed(download, here, 5000);
            Assert.That(machine.WantsRead);
            Assert.That(machine.Timeout, Is.LessThan(Clock.Never));
        }

        [Test]
        public void A_server_that_says_what_it_must_not_is_found_out_and_every_caller_is_told()
        {
            var wrong = new[]
            {
                Pretender.Packet(9, 0, 0), Pretender.Packet(1, 0, 0, new byte[7]), Pretender.Packet(1, 3, 0),
                Pretender.Packet(1, 0, 1), Pretender.Packet(1, 12, 0), Pretender.Packet(1, 255, 1),
                Pretender.Packet(1, 255, 0, new byte[1]), Pretender.Packet(1, 10, 0), Pretender.Packet(1, 11, 1, new byte[8]),
                Pretender.Packet(1, 5, 4), Pretender.Packet(1, 8, 9, new byte[8]), Pretender.Packet(0, 8, 6, new byte[8]),
                Pretender.Packet(1, 4, 6), Pretender.Packet(2, 0, 0, new byte[7]), Pretender.Packet(2, 3, 0, new byte[8]),
            };
            foreach (byte[] bytes in wrong)
            {
                Connection machine = Machine();
                Ask(machine, "a", Request.DeleteRecord(One));
                Ask(machine, "b", Request.CreateRecord(RecordAccess.None, Body.Of(new byte[1])));
                Take(machine);
                Assert.That(machine.HandleInput(bytes, 0)?.Kind, Is.EqualTo(FaultKind.Violation), BitConverter.ToString(bytes));
                Assert.That(machine.HandleInput(new byte[3], 0)?.Kind, Is.EqualTo(FaultKind.Violation));
                Assert.That(Events(machine).Count(one => one.Kind == EventKind.Ended), Is.EqualTo(2));
                Assert.That(machine.Request("c", Request.Identify(), new RequestOptions(1), 0, out NotMade why), Is.Null);
                Assert.That(why, Is.EqualTo(NotMade.Ended));
            }
        }

        [Test]
        public void Whatever_bytes_come_nothing_is_thrown_and_every_transaction_ends()
        {
            var random = new Random(7);
            int faults = 0;
            for (int round = 0; round < 3000; round++)
            {
                Connection machine = Machine();
                Ask(machine, "a", Request.ResolvePointer(One));
                Ask(machine, "b", Request.WatchRecord(One, true));
                Ask(machine, "c", Request.ListRecords());
                Take(machine);
                var input = new byte[64];
                random.NextBytes(input);
                if (round % 2 == 0)
                {
                    // Mostly sensible headers, so that more than the first check is reached.
                    int[] codes = { 0, 3, 11, 1, 255 };
                    byte[] header = Pretender.Packet(
                        (uint)(1 + (round % 3)), codes[round % 5], round % 4 == 0 ? 0 : 1, null,
                        round % 5 == 0 ? 0xfffffff8 : 8);
                    header.CopyTo(input, 0);
                }

                faults += machine.HandleInput(input, 0) == null ? 0 : 1;
                machine.HandleEnd();
                Assert.That(machine.Open, Is.Zero);
            }

            Assert.That(faults, Is.GreaterThan(2000));
        }

        private static Connection Machine(uint firstXid = 1) =>
            new Connection(new ConnectionConfig(uint.MaxValue, 1024, 1000, firstXid));

        private static Transaction Ask(
            Connection machine, object owner, Request request, RequestOptions? options = null) =>
            machine.Request(owner, request, options ?? new RequestOptions(1000), 0, out _)!;

        private static byte[] Take(Connection machine, int room = 65536, long now = 0)
        {
            var into = new byte[room];
            return into.Take(machine.Take(into, now)).ToArray();
        }

        private static void Input(Connection machine, params byte[][] packets) =>
            Assert.That(machine.HandleInput(Joined(packets), 0)?.Message, Is.Null);

        private static List<Event> Events(Connection machine) => machine.TakeEvents(new List<Event>());

        private static byte[] Abort(uint xid) => Pretender.Packet(xid, 255, 0);

        private static byte[] Filled(int length, byte value) => Enumerable.Repeat(value, length).ToArray();

        private static byte[] Joined(params byte[][] parts) => parts.SelectMany(part => part).ToArray();
    }
}
