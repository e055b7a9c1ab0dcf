#nullable enable

using System;
using System.Collections.Generic;

namespace NetSwap.Wire
{
    /// <summary>A request on its way out, cut into packets (docs/PROTOCOL.md §2.2). It can be used again for the next one.</summary>
    internal sealed class Lane
    {
        private Request request;

        // The data that were given and have not left: what is next, and what follows it.
        private ReadOnlyMemory<byte> current;
        private Queue<ReadOnlyMemory<byte>>? more;

        public uint Xid { get; private set; }

        /// <summary>Bytes of payload that have not left.</summary>
        public long Remaining { get; private set; }

        /// <summary>Bytes of data that were given and have not left.</summary>
        public long Given { get; private set; }

        /// <summary>Whether a packet of it has left.</summary>
        public bool HasBegun { get; private set; }

        /// <summary>Whether the output has it in turn; not while it lacks data.</summary>
        public bool IsInTurn { get; set; }

        /// <summary>Whether all bytes of the next packet are here.</summary>
        public bool IsReady
        {
            get
            {
                long here = Given + (HasBegun ? 0 : request.OperandLength);
                return here >= Remaining || here >= Packet.MaxPayload;
            }
        }

        /// <summary>Bytes of the next packet, header included.</summary>
        public int PacketLength => Packet.HeaderLength + (int)Math.Min(Remaining, Packet.MaxPayload);

        /// <summary>Begins a request.</summary>
        public void Begin(uint xid, in Request next)
        {
            request = next;
            Xid = xid;
            Remaining = next.Length;
            HasBegun = false;
            IsInTurn = false;
            current = next.Body.Data;
            Given = current.Length;
            more?.Clear();
        }

        /// <summary>Lets go of the data.</summary>
        public void Forget()
        {
            request = default;
            current = default;
            more?.Clear();
        }

        /// <summary>Gives more data, which must stay as they are until they have left.</summary>
        public void Give(ReadOnlyMemory<byte> data)
        {
            if (data.IsEmpty)
            {
                return;
            }

            if (current.IsEmpty)
            {
                current = data;
            }
            else
            {
                more ??= new Queue<ReadOnlyMemory<byte>>();
                more.Enqueue(data);
            }

            Given += data.Length;
        }

        /// <summary>Writes the next packet, which is ready and fits, and tells its length. The last leaves nothing remaining.</summary>
        public int Write(Span<byte> into)
        {
            new Packet(Xid, (uint)Remaining, (byte)request.Opcode, request.Access).Write(into);
            int left = (int)Math.Min(Remaining, Packet.MaxPayload);
            int at = Packet.HeaderLength;
            Remaining -= left;
            if (!HasBegun)
            {
                HasBegun = true;
                request.WriteOperands(into.Slice(at));
                at += request.OperandLength;
                left -= request.OperandLength;
            }

            Given -= left;
            while (left > 0)
            {
                int take = Math.Min(left, current.Length);
                current.Span.Slice(0, take).CopyTo(into.Slice(at));
                current = current.Slice(take);
                if (current.IsEmpty && more != null && more.Count > 0)
                {
                    current = more.Dequeue();
                }

                at += take;
                left -= take;
            }

            return at;
        }
    }
}
