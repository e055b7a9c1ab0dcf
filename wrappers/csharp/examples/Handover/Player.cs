using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace NetSwap.Examples
{
    /// <summary>A player: has the level, watches the state, tells the host its moves, and becomes the host if need be.</summary>
    internal sealed class Player
    {
        /// <summary>A host that has been silent for so long is gone.</summary>
        public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

        private readonly NetSwapClient client;
        private readonly IPAddress address;
        private readonly int number;
        private readonly NetworkPointer level;
        private readonly NetworkPointer state;
        private readonly RecordMirror mirror;
        private readonly UdpClient socket;
        private readonly IPEndPoint firstHost;
        private volatile byte[] seen;
        private DateTime heard = DateTime.UtcNow;
        private Host? host;
        private volatile bool isOver;

        private Player(
            NetSwapClient client, IPAddress address, int number, byte[] joined, byte[] level, RecordMirror mirror,
            UdpClient socket)
        {
            this.client = client;
            this.address = address;
            this.number = number;
            this.mirror = mirror;
            this.socket = socket;
            this.level = Message.Pointer(joined, 1);
            state = Message.Pointer(joined, 9);
            Level = level;
            seen = mirror.Data.ToArray();
            firstHost = HostAddress;
        }

        public byte[] Level { get; }

        public bool IsHost => host != null;

        public IPEndPoint HostAddress => GameState.Host(seen);

        public int[] Scores => Enumerable.Range(1, GameState.Players).Select(player => GameState.Score(seen, player)).ToArray();

        /// <summary>How many records the server says are its own.</summary>
        public int OwnedRecords => client.ListAsync().AsTask().GetAwaiter().GetResult().Length;

        /// <summary>Joins a game: asks the host, who answers with two pointers, and gets the level from the server.</summary>
        public static async Task<Player> JoinAsync(string server, IPAddress address, int number, IPEndPoint host)
        {
            NetSwapClient client = await NetSwapClient.ConnectAsync(new NetSwapOptions(server) { Bind = address });
            var socket = new UdpClient(new IPEndPoint(address, 0));
            byte[] joined;
            do
            {
                await socket.SendAsync(new[] { Message.Join }, 1, host);
                joined = (await socket.ReceiveAsync()).Buffer;
            }
            while (joined[0] != Message.Joined);

            byte[] level = await client.ResolveAsync(Message.Pointer(joined, 1));
            RecordMirror mirror = await client.MirrorAsync(Message.Pointer(joined, 9));
            var player = new Player(client, address, number, joined, level, mirror, socket);
            _ = Task.Run(player.WatchAsync);
            _ = Task.Run(player.HearAsync);
            return player;
        }

        /// <summary>Makes moves until everybody has so many points, as far as is to be seen.</summary>
        public async Task PlayUntilAsync(int score, int players)
        {
            while (Scores.Take(players).Any(one => one < score))
            {
                if (Scores[number - 1] < score)
                {
                    int before = Scores[number - 1];
                    byte[] move = { Message.Move, (byte)number, (byte)(before + 1) };
                    await socket.SendAsync(move, move.Length, HostAddress);
                    for (int waited = 0; waited < 100 && Scores[number - 1] == before; waited++)
                    {
                        await Task.Delay(2);
                    }
                }
                else
                {
                    await Task.Delay(2);
                }
            }
        }

        /// <summary>Ends when there is another host than the first.</summary>
        public async Task WhenHostChanged()
        {
            while (HostAddress.Equals(firstHost))
            {
                await Task.Delay(5);
            }
        }

        public async Task LeaveAsync()
        {
            isOver = true;
            host?.Stop();
            socket.Dispose();
            await mirror.DisposeAsync();
            await client.CloseAsync();
        }

        // Follows the state, whoever writes it.
        private async Task WatchAsync()
        {
            try
            {
                while (!isOver)
                {
                    await mirror.ChangedAsync();
                    seen = mirror.Data.ToArray();
                }
            }
            catch (Exception) when (isOver)
            {
                // It has left.
            }
        }

        // Hears that the host is there. When it is not any more, everybody tries to take over, and one is the host.
        private async Task HearAsync()
        {
            _ = Task.Run(async () =>
            {
                while (!isOver && (await socket.ReceiveAsync()).Buffer.Length > 0)
                {
                    heard = DateTime.UtcNow;
                }
            });
            OwnerHash owner = (await client.StatAsync(state)).Owner;
            IPEndPoint joined = firstHost;
            while (!isOver && host == null)
            {
                await Task.Delay(20);
                if (!HostAddress.Equals(joined))
                {
                    joined = HostAddress;
                    heard = DateTime.UtcNow;
                    await socket.SendAsync(new[] { Message.Join }, 1, joined);
                }
                else if (DateTime.UtcNow - heard > Patience)
                {
                    host = await Host.TryTakeoverAsync(client, address, level, state, owner);
                    owner = (await client.StatAsync(state)).Owner;
                    heard = DateTime.UtcNow;
                }
            }
        }
    }
}
