#nullable enable

using System;
using System.Collections.Generic;

namespace NetSwap.Wire
{
    /// <summary>
    /// What waits to be sent on one connection: requests that take turns, a packet each (docs/PROTOCOL.md §2.3), and ABORTs,
    /// which go before everything else.
    /// </summary>
    internal sealed class Output
    {
        private readonly Queue<Lane> turns = new Queue<Lane>();
        private readonly Queue<uint> aborts = new Queue<uint>();

        /// <summary>Whether there is nothing that could be sent now.</summary>
        public bool IsEmpty => turns.Count == 0 && aborts.Count == 0;

        /// <summary>Gives a request its turns, if its next packet is here; else it waits for more data.</summary>
        public void Push(Lane lane)
        {
            if (lane.IsInTurn || !lane.IsReady)
            {
                return;
            }

            lane.IsInTurn = true;
            turns.Enqueue(lane);
        }

        /// <summary>Queues an ABORT.</summary>
        public void Abort(uint xid) => aborts.Enqueue(xid);

        /// <summary>Drops what has not left of a request.</summary>
        public void Cancel(Lane lane)
        {
            if (!lane.IsInTurn)
            {
                return;
            }

            lane.IsInTurn = false;
            for (int count = turns.Count; count > 0; count--)
            {
                Lane next = turns.Dequeue();
                if (next != lane)
                {
                    turns.Enqueue(next);
                }
            }
        }

        /// <summary>
        /// Writes the next packet, if it fits, and tells its length; <c>0</c> when there is none or no room for it.
        /// <paramref name="lane"/> is the request that it is of, if it is of one.
        /// </summary>
        public int Take(Span<byte> into, out Lane? lane)
        {
            lane = null;
            if (aborts.Count > 0)
            {
                if (into.Length < Packet.HeaderLength)
                {
                    return 0;
                }

                new Packet(aborts.Dequeue(), 0, (byte)Opcode.Abort, 0).Write(into);
                return Packet.HeaderLength;
            }

            if (turns.Count == 0 || turns.Peek().PacketLength > into.Length)
            {
                return 0;
            }

            lane = turns.Dequeue();
            lane.IsInTurn = false;
            int length = lane.Write(into);
            if (lane.Remaining > 0)
            {
                Push(lane);
            }

            return length;
        }
    }
}
