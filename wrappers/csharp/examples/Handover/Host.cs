using System;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace NetSwap.Examples
{
    /// <summary>Whoever is the host: it alone writes the state. Players tell it their moves.</summary>
    internal sealed class Host
    {
        private const RecordAccess ForPlayers = RecordAccess.Read | RecordAccess.Takeover;

        private readonly NetSwapClient client;
        private readonly NetworkPointer level;
        private readonly NetworkPointer state;
        private readonly UdpClient socket;
        private readonly ConcurrentDictionary<IPEndPoint, bool> players = new ConcurrentDictionary<IPEndPoint, bool>();
        private readonly int[] scores;
        private volatile bool isOver;

        private Host(NetSwapClient client, NetworkPointer level, NetworkPointer state, IPAddress address, int[] scores)
        {
            this.client = client;
            this.level = level;
            this.state = state;
            this.scores = scores;
            socket = new UdpClient(new IPEndPoint(address, 0));
        }

        public IPEndPoint Address => (IPEndPoint)socket.Client.LocalEndPoint!;

        /// <summary>Begins a game: the level and the state become records that the players may read and take over.</summary>
        public static async Task<Host> StartAsync(string server, IPAddress address, byte[] level)
        {
            NetSwapClient client = await NetSwapClient.ConnectAsync(new NetSwapOptions(server) { Bind = address });
            NetworkPointer levelPointer = await client.CreateAsync(level, ForPlayers);
            NetworkPointer statePointer = await client.CreateAsync(new byte[GameState.Length], ForPlayers);
            var host = new Host(client, levelPointer, statePointer, address, new int[GameState.Players]);
            await client.WriteRangeAsync(statePointer, 0, GameState.HostBytes(host.Address));
            host.Run();
            return host;
        }

        /// <summary>
        /// Goes on with the game of a host that has left, if nobody else was faster: of all who try to take the state over,
        /// exactly one may, since the right to do so ends with the first.
        /// </summary>
        public static async Task<Host?> TryTakeoverAsync(
            NetSwapClient client, IPAddress address, NetworkPointer level, NetworkPointer state, OwnerHash gone)
        {
            try
            {
                if ((await client.StatAsync(state)).Owner != gone)
                {
                    return null;
                }

                await client.TakeoverAsync(state);
            }
            catch (NetSwapException refused) when (refused.Code == RefusalCode.AccessViolation)
            {
                return null;
            }

            await client.TakeoverAsync(level);
            byte[] old = await client.ResolveAsync(state);
            var scores = new int[GameState.Players];
            for (int player = 1; player <= scores.Length; player++)
            {
                scores[player - 1] = GameState.Score(old, player);
            }

            var host = new Host(client, level, state, address, scores);
            await client.WriteRangeAsync(state, 0, GameState.HostBytes(host.Address));
            host.Run();
            _ = Task.Run(host.GrantLaterAsync);
            return host;
        }

        /// <summary>Is gone from one moment to the next, and its connection with it.</summary>
        public Task LeaveAsync()
        {
            Stop();
            client.Dispose();
            return Task.CompletedTask;
        }

        /// <summary>Listens no more; the client is somebody else's.</summary>
        public void Stop()
        {
            isOver = true;
            socket.Dispose();
        }

        private void Run()
        {
            Task.Run(ListenAsync);
            Task.Run(TellAliveAsync);
        }

        // The next who takes over needs the right to; but not before everybody has heard of this host.
        private async Task GrantLaterAsync()
        {
            await Task.Delay(Player.Patience + Player.Patience);
            if (!isOver)
            {
                await client.SetPermissionsAsync(level, ForPlayers);
                await client.SetPermissionsAsync(state, ForPlayers);
            }
        }

        private async Task ListenAsync()
        {
            try
            {
                while (!isOver)
                {
                    UdpReceiveResult received = await socket.ReceiveAsync();
                    players[received.RemoteEndPoint] = true;
                    if (received.Buffer[0] == Message.Join)
                    {
                        byte[] joined = Message.OfJoined(level, state);
                        await socket.SendAsync(joined, joined.Length, received.RemoteEndPoint);
                    }
                    else if (received.Buffer[0] == Message.Move)
                    {
                        await MoveAsync(received.Buffer[1], received.Buffer[2]);
                    }
                }
            }
            catch (Exception) when (isOver)
            {
                // It has left.
            }
        }

        // The rules of the game: the next move is worth a point; one that comes twice is worth nothing. Only 4 bytes of the
        // state are written, and told to the watches.
        private async Task MoveAsync(int player, int number)
        {
            if (number == scores[player - 1] + 1)
            {
                scores[player - 1] = number;
                await client.WriteRangeAsync(state, GameState.ScoreOffset(player), GameState.ScoreBytes(number));
            }
        }

        private async Task TellAliveAsync()
        {
            byte[] alive = { Message.Alive };
            while (!isOver)
            {
                foreach (IPEndPoint player in players.Keys)
                {
                    try
                    {
                        await socket.SendAsync(alive, alive.Length, player);
                    }
                    catch (Exception)
                    {
                        // That player has left, or this host has.
                    }
                }

                await Task.Delay(50);
            }
        }
    }
}
