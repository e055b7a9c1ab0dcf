#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace NetSwap.Tests
{
    /// <summary>
    /// A server that does what it is told with each of its sockets, on a thread of its own. The greeting of the first is
    /// answered, unless it is told not to: a client that connects again does not greet.
    /// </summary>
    internal sealed class Pretender : IDisposable
    {
        private static readonly byte[] Identity =
        {
            3, 0x62, 0x78, 0x79, 0x6a, 0xc4, 0xcc, 0x40, 0, 1, 5, 0x6e, 0x10, 0, 0, 0, 0, 0, 1, 0x2c,
        };

        private readonly TcpListener listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly Action<Socket> handle;
        private readonly List<Socket> sockets = new List<Socket>();
        private bool greets;
        private volatile bool isOver;

        public Pretender(Action<Socket> handle, bool greets = true)
        {
            this.handle = handle;
            this.greets = greets;
            listener.Start();
            new Thread(Accept) { IsBackground = true }.Start();
        }

        public string Address => listener.LocalEndpoint.ToString()!;

        /// <summary>How many connections there have been.</summary>
        public int Connections { get; private set; }

        /// <summary>How many are open on this side.</summary>
        public int Open
        {
            get
            {
                lock (sockets)
                {
                    return sockets.Count;
                }
            }
        }

        /// <summary>A packet that is a whole message, or the first of one.</summary>
        public static byte[] Packet(uint xid, int code, int access, byte[]? payload = null, uint? remaining = null)
        {
            payload ??= Array.Empty<byte>();
            uint rest = remaining ?? (uint)payload.Length;
            byte[] header =
            {
                (byte)(xid >> 24), (byte)(xid >> 16), (byte)(xid >> 8), (byte)xid,
                (byte)(rest >> 24), (byte)(rest >> 16), (byte)(rest >> 8), (byte)rest, (byte)code, (byte)access,
            };
            return header.Concat(payload).ToArray();
        }

        /// <summary>Receives exactly so many bytes; none at the end.</summary>
        public static byte[]? Receive(Socket socket, int count)
        {
            var buffer = new byte[count];
            for (int at = 0; at < count;)
            {
                int got = socket.Receive(buffer, at, count - at, SocketFlags.None);
                if (got == 0)
                {
                    return null;
                }

                at += got;
            }

            return buffer;
        }

        /// <summary>Receives a packet, and tells the id that is in it; nothing at the end.</summary>
        public static uint? ReceivePacket(Socket socket)
        {
            byte[]? header = Receive(socket, 10);
            if (header == null)
            {
                return null;
            }

            uint length = ((uint)header[4] << 24) | ((uint)header[5] << 16) | ((uint)header[6] << 8) | header[7];
            if (length > 0 && Receive(socket, (int)Math.Min(length, 1390)) == null)
            {
                return null;
            }

            return ((uint)header[0] << 24) | ((uint)header[1] << 16) | ((uint)header[2] << 8) | header[3];
        }

        /// <summary>Reads and throws away, until the client has ended the connection.</summary>
        public static void Drain(Socket socket)
        {
            var buffer = new byte[65536];
            while (socket.Receive(buffer) > 0)
            {
            }
        }

        public void Dispose()
        {
            isOver = true;
            listener.Stop();
            lock (sockets)
            {
                sockets.ForEach(socket => socket.Dispose());
            }
        }

        private void Accept()
        {
            try
            {
                while (!isOver)
                {
                    Socket socket = listener.AcceptSocket();
                    socket.NoDelay = true;
                    Connections++;
                    lock (sockets)
                    {
                        sockets.Add(socket);
                    }

                    new Thread(() => Serve(socket)) { IsBackground = true }.Start();
                }
            }
            catch (Exception)
            {
                // It is over.
            }
        }

        private void Serve(Socket socket)
        {
            try
            {
                if (greets)
                {
                    greets = false;
                    socket.Send(Packet(ReceivePacket(socket)!.Value, 0, 0, Identity));
                }

                handle(socket);
            }
            catch (Exception)
            {
                // The client has ended the connection.
            }

            socket.Dispose();
            lock (sockets)
            {
                sockets.Remove(socket);
            }
        }
    }
}
