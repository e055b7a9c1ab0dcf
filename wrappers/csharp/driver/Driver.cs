using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Tools;

namespace NetSwap.Conformance
{
    /// <summary>
    /// The driver of this client for the conformance suite: makes the calls that the suite asks for, and tells what they
    /// returned (docs/PORTING.md §4).
    /// </summary>
    internal static class Driver
    {
        private static readonly Dictionary<string, Func<Command, Task<Values>>> Calls =
            new Dictionary<string, Func<Command, Task<Values>>>
            {
                ["connect"] = Connect,
                ["create"] = async c => Created(await Client.CreateAsync(c.Data, c.Access, c.Token)),
                ["create_from"] = async c => Created(
                    await Client.CreateFromAsync(c.Source, c.Access, c.Length, c.Progress(), c.Token)),
                ["reserve"] = async c => Created(await Client.ReserveAsync(c.Access, c.Token)),
                ["resolve"] = async c => new Values { ["data"] = Text.Hex(await Client.ResolveAsync(c.Pointer, c.Token)) },
                ["resolve_wait"] = async c => new Values
                {
                    ["data"] = Text.Hex(await Client.ResolveWaitAsync(c.Pointer, c.Time("timeout"), c.Token)),
                },
                ["resolve_into"] = ResolveInto,
                ["resolve_if_changed"] = async c =>
                {
                    RecordSnapshot? read = await Client.ResolveIfChangedAsync(c.Pointer, c.Version, c.Token);
                    return read == null
                        ? new Values { ["changed"] = "no" }
                        : new Values { ["changed"] = "yes", ["version"] = read.Value.Version, ["data"] = Text.Hex(read.Value.Data) };
                },
                ["read_range"] = async c =>
                {
                    RecordRange range = await Client.ReadRangeAsync(c.Pointer, c.Offset, c.Number64("length"), c.Token);
                    return new Values
                    {
                        ["version"] = range.Version, ["length"] = range.RecordLength, ["data"] = Text.Hex(range.Data),
                    };
                },
                ["replace"] = async c => Written(await Client.ReplaceAsync(c.Pointer, c.Data, c.Token)),
                ["replace_from"] = async c => Written(
                    await Client.ReplaceFromAsync(c.Pointer, c.Source, c.Length, c.Progress(), c.Token)),
                ["write_range"] = async c => Written(await Client.WriteRangeAsync(c.Pointer, c.Offset, c.Data, c.Token)),
                ["append"] = async c =>
                {
                    AppendResult appended = await Client.AppendAsync(c.Pointer, c.Data, c.Token);
                    return new Values { ["version"] = appended.Version, ["offset"] = appended.Offset };
                },
                ["compare_and_replace"] = async c => Written(
                    await Client.CompareAndReplaceAsync(c.Pointer, c.Version, c.Data, c.Token)),
                ["update"] = async c => Written(
                    await Client.UpdateAsync(c.Pointer, old => old.Concat(c.Data.ToArray()).ToArray(), c.Token)),
                ["fetch_add"] = async c =>
                {
                    AddResult sum = await Client.FetchAddAsync(c.Pointer, c.Offset, c.Number64("delta"), c.Token);
                    return new Values { ["version"] = sum.Version, ["value"] = sum.Value };
                },
                ["stat"] = Stat,
                ["set_permissions"] = c => Nothing(Client.SetPermissionsAsync(c.Pointer, c.Access, c.Token)),
                ["set_lifetime"] = c => Nothing(Client.SetLifetimeAsync(
                    c.Pointer,
                    new RecordLifetime { Grace = c.Seconds("grace"), TimeToLive = c.Seconds("ttl"), Heir = c.Heir }, c.Token)),
                ["delete"] = c => Nothing(Client.DeleteAsync(c.Pointer, c.Token)),
                ["takeover"] = c => Nothing(Client.TakeoverAsync(c.Pointer, c.Token)),
                ["transfer"] = c => Nothing(Client.TransferAsync(c.Pointer, OwnerHash.Parse(c.Value("owner")), c.Token)),
                ["request_ownership"] = c => Nothing(Client.RequestOwnershipAsync(c.Pointer, c.Token)),
                ["list"] = async c => new Values { ["pointers"] = string.Join(",", await Client.ListAsync(c.Token)) },
                ["identify"] = Identify,
                ["ping"] = c => Nothing(Client.PingAsync(c.Data, c.Token)),
                ["close"] = c => Nothing(Client.CloseAsync()),
                ["watch"] = Watch,
                ["events"] = Events,
            };

        private static readonly ConcurrentDictionary<string, Command> Running = new ConcurrentDictionary<string, Command>();

        private static volatile bool isEnding;
        private static NetSwapClient? client;

        private static NetSwapClient Client => client ?? throw new InvalidOperationException("connect comes first");

        private static int Main()
        {
            Console.SetOut(new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true });
            Say("netswap-driver 1 csharp");
            Say("ready");
            using (var input = new StreamReader(Console.OpenStandardInput()))
            {
                for (string? line; (line = input.ReadLine()) != null;)
                {
                    Handle(line);
                }
            }

            // What is still under way ends with the program.
            isEnding = true;
            client?.Dispose();
            Exit.With(0);
            return 0;
        }

        private static void Handle(string line)
        {
            string[] words = line.Split(' ');
            string number = words[0];
            string name = words.Length > 1 ? words[1] : "";
            if (name == "cancel")
            {
                Command canceled = Running[number];
                canceled.IsCanceled = true;
                canceled.Giving.Cancel();
                Say(number + " cancelled");
            }
            else if (name == "take")
            {
                Command taken = Running[number];
                taken.Takes = taken.Takes.ContinueWith(_ => taken.Take(), TaskScheduler.Default).Unwrap();
            }
            else if (Calls.TryGetValue(name, out Func<Command, Task<Values>>? call))
            {
                var command = new Command(number, words.Skip(2));
                Running[number] = command;
                Task.Run(() => Run(command, call));
            }
            else
            {
                Say($"error {name} is no call that this driver knows: {line}");
            }
        }

        private static async Task Run(Command command, Func<Command, Task<Values>> call)
        {
            try
            {
                Values values = await call(command);
                Tell(command, "returns", values);
            }
            catch (Exception error)
            {
                Failed(command, error);
            }
        }

        private static async Task<Values> Connect(Command c)
        {
            var options = new NetSwapOptions(c.Value("address")) { Reconnect = c.Find("reconnect") != "no" };
            options.ConnectTimeout = c.Time("connect-timeout") ?? options.ConnectTimeout;
            options.RequestTimeout = c.Time("request-timeout") ?? options.RequestTimeout;
            options.FirstReconnectDelay = c.Time("reconnect-first") ?? options.FirstReconnectDelay;
            options.LongestReconnectDelay = c.Time("reconnect-most") ?? options.LongestReconnectDelay;
            options.MaxReply = c.Find("max-reply") == null ? options.MaxReply : c.Number64("max-reply");
            options.MaxRequests = c.Find("max-requests") == null ? options.MaxRequests : (int)c.Number64("max-requests");
            options.Bind = c.Find("bind") == null ? null : IPAddress.Parse(c.Value("bind"));
            client = await NetSwapClient.ConnectAsync(options, c.Token);
            return new Values();
        }

        private static async Task<Values> ResolveInto(Command c)
        {
            var stream = new MemoryStream();
            var told = new List<long>();
            long length = await Client.ResolveIntoAsync(c.Pointer, stream, new Hearer(told.Add), c.Token);

            // How many bytes there are in all is known now.
            foreach (long done in told)
            {
                Tell(c, "progress", new Values { ["done"] = done, ["total"] = length });
            }

            return new Values { ["length"] = length, ["data"] = Text.Hex(stream.ToArray()) };
        }

        private static async Task<Values> Stat(Command c)
        {
            RecordStat stat = await Client.StatAsync(c.Pointer, c.Token);
            return new Values
            {
                ["length"] = stat.Length, ["version"] = stat.Version, ["owner"] = stat.Owner,
                ["access"] = Text.Letters(stat.Access), ["state"] = stat.IsReserved ? "reserved" : "live",
                ["expires"] = stat.Expires.HasValue ? (object)(long)stat.Expires.Value.TotalSeconds : "none",
            };
        }

        private static async Task<Values> Identify(Command c)
        {
            ServerIdentity identity = await Client.IdentifyAsync(c.Token);
            return new Values
            {
                ["owner"] = identity.Owner, ["protocol"] = identity.Protocol, ["packet"] = identity.PacketLimit,
                ["record"] = identity.RecordLimit, ["grace"] = (long)identity.Grace.TotalSeconds,
            };
        }

        private static async Task<Values> Watch(Command c)
        {
            RecordWatch watch = Client.WatchAsync(
                c.Pointer, c.Value("push") == "yes" ? WatchMode.Changes : WatchMode.Versions, c.Token);
            ulong version = await watch.StartAsync();
            c.Next = async () => await watch.MoveNextAsync() ? Text.Of(watch.Current) : null;
            return new Values { ["version"] = version };
        }

        private static Task<Values> Events(Command c)
        {
            IAsyncEnumerator<ConnectionEvent> events = Client.EventsAsync(c.Token).GetAsyncEnumerator();
            c.Next = async () => await events.MoveNextAsync() ? Text.Of(events.Current) : null;
            return Task.FromResult(new Values());
        }

        private static Values Created(NetworkPointer pointer) => new Values { ["pointer"] = pointer };

        private static Values Written(ulong version) => new Values { ["version"] = version };

        private static async Task<Values> Nothing(ValueTask call)
        {
            await call;
            return new Values();
        }

        /// <summary>Says what has become of a call, unless it was given up.</summary>
        internal static void Tell(Command command, string verb, Values values, string remark = "")
        {
            if (!command.IsCanceled)
            {
                Say($"{command.Number} {verb}{values}" + (remark == "" ? "" : " | " + remark.Replace('\n', ' ')));
            }
        }

        internal static void Failed(Command command, Exception error)
        {
            if (error is NetSwapException failed)
            {
                Tell(command, "fails", Text.Of(failed), failed.Message);
            }
            else if (!(error is OperationCanceledException) && !isEnding)
            {
                // A fault of the driver, or of the client: the suite shows it.
                Console.Error.WriteLine(error);
                Exit.With(1);
            }
        }

        private static void Say(string line)
        {
            lock (Running)
            {
                Console.Out.Write(line + "\n");
            }
        }
    }
}
