using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Threading.Tasks;

namespace NetSwap.Examples
{
    /// <summary>
    /// A small authoritative game: a host, and three players who join late and get its level by pointer. Then the host leaves;
    /// one of the players takes the level and the state over, and the game goes on. Everybody has an address of their own, as
    /// on different machines. `Handover ADDRESS`: the address is that of a NetSwap server.
    /// </summary>
    internal static class Program
    {
        private const int LevelLength = 2_000_000;

        private static async Task<int> Main(string[] arguments)
        {
            string server = arguments.Length > 0 ? arguments[0] : "127.0.0.1:7420";
            var level = new byte[LevelLength];
            new Random(1).NextBytes(level);

            Host host = await Host.StartAsync(server, IPAddress.Parse("127.0.0.10"), level);
            Console.WriteLine($"host: a level of {level.Length} bytes on the server, {Message.JoinedLength} bytes for who joins");

            var players = new List<Player>();
            foreach (int number in Enumerable.Range(1, 3))
            {
                Player player = await Player.JoinAsync(server, IPAddress.Parse("127.0.0." + (10 + number)), number, host.Address);
                players.Add(player);
                Console.WriteLine($"player {number}: has the level: {player.Level.AsSpan().SequenceEqual(level)}");
            }

            await PlayAsync(players, 10);
            Console.WriteLine("everybody sees: " + Scores(players));

            await host.LeaveAsync();
            Console.WriteLine("the host leaves");
            await Task.WhenAll(players.Select(player => player.WhenHostChanged()));
            Console.WriteLine($"hosts now: {players.Count(player => player.IsHost)}");
            int owned = players.Single(player => player.IsHost).OwnedRecords;
            Console.WriteLine($"records that it owns: {owned}");

            await PlayAsync(players, 20);
            Console.WriteLine("everybody sees: " + Scores(players));

            // A player who joins now gets the same level from the new host.
            IPEndPoint now = players[0].HostAddress;
            Player late = await Player.JoinAsync(server, IPAddress.Parse("127.0.0.20"), 4, now);
            Console.WriteLine($"player 4: has the level: {late.Level.AsSpan().SequenceEqual(level)}");
            players.Add(late);
            await Task.WhenAll(players.Select(player => player.LeaveAsync()));
            Console.WriteLine("done");
            return 0;
        }

        // Every player makes moves until its score, and everybody's, has come so far.
        private static Task PlayAsync(List<Player> players, int score) =>
            Task.WhenAll(players.Select(player => player.PlayUntilAsync(score, players.Count)));

        private static string Scores(List<Player> players)
        {
            List<string> seen = players.Select(player => string.Join(" ", player.Scores.Take(players.Count))).Distinct().ToList();
            return seen.Count == 1 ? seen[0] : "different things: " + string.Join(", ", seen);
        }
    }
}
