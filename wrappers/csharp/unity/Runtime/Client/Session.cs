#nullable enable

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>
    /// A client's connection, and the next one when it is lost; and who waits for what. What is not said to be outside happens
    /// inside the gate.
    /// </summary>
    internal sealed partial class Session
    {
        private static readonly Stopwatch Watch = Stopwatch.StartNew();

        private readonly ConnectionConfig config;

        // Calls that wait for a connection, the oldest first, and the timer for them.
        private readonly LinkedList<Call> waiting = new LinkedList<Call>();
        private readonly Timer waitTimer;

        // Calls that may have to wait for long.
        private readonly HashSet<Call> patient = new HashSet<Call>();
        private readonly Delays delays;
        private readonly CancellationTokenSource over = new CancellationTokenSource();
        private readonly TaskCompletionSource<bool> whenClosed =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);

        private readonly List<ConnectionEvents> listeners = new List<ConnectionEvents>();

        // Calls that have not ended.
        private int calls;

        // Whether no more calls are taken.
        private bool isClosing;

        // The connection that is being ended.
        private Link? ending;

        // For when the timer of those that wait is set.
        private long waitTimerAt = Clock.Never;

        // Whether a lost connection is made again: not before the server was greeted.
        private bool reconnects;

        public Session(Settings settings)
        {
            Settings = settings;
            config = new ConnectionConfig(settings.MaxReply, settings.MaxRequests, settings.RequestTimeout);
            delays = new Delays(settings.FirstDelay, settings.LongestDelay);
            Watches = new Watches(this);
            waitTimer = Background.Timer(state => ((Session)state!).CheckWaiting(), this);
        }

        /// <summary>The time, in ticks of a clock that does not go backwards.</summary>
        public static long Now => Watch.Elapsed.Ticks;

        public Settings Settings { get; }

        public Gate Gate { get; } = new Gate();

        public Watches Watches { get; }

        /// <summary>The connection, while there is one.</summary>
        public Link? Link { get; private set; }

        /// <summary>Whether no more calls are taken.</summary>
        public bool IsClosing => isClosing || IsClosed;

        /// <summary>Whether there is no connection, and will be none.</summary>
        public bool IsClosed { get; private set; }

        /// <summary>There is a first connection: it begins to move with its first call. Outside.</summary>
        public ValueTask<ServerIdentity> GreetAsync(Socket socket, ReadReply<ServerIdentity> read, CancellationToken token)
        {
            var link = new Link(this, socket, config);
            Link = link;

            // From when the server has answered, a lost connection is made again, where the settings say so.
            ServerIdentity Greeted(in Reply reply)
            {
                reconnects = Settings.Reconnects;
                return read(reply);
            }

            ValueTask<ServerIdentity> greeting =
                CallAsync(Request.Identify(), Greeted, token, new RequestOptions(Clock.Never));
            link.Start();
            return greeting;
        }

        /// <summary>Makes a request and reads its answer. Outside.</summary>
        public ValueTask<T> CallAsync<T>(
            in Request request, ReadReply<T> read, CancellationToken token, RequestOptions? options = null)
        {
            SimpleCall<T> call = SimpleCall<T>.Of(this, request, options ?? new RequestOptions(Settings.RequestTimeout), read);
            ValueTask<T> task = call.Task;
            Start(call, token);
            return task;
        }

        /// <summary>Makes a request whose answer says no more than that it was done. Outside.</summary>
        public ValueTask CallAsync(in Request request, CancellationToken token)
        {
            SimpleCall<bool> call = SimpleCall<bool>.Of(this, request, new RequestOptions(Settings.RequestTimeout), Done);
            ValueTask task = call.PlainTask;
            Start(call, token);
            return task;
        }

        /// <summary>Starts a call, now or when there is a connection. Outside.</summary>
        public void Start(Call call, CancellationToken token)
        {
            call.Listen(token);
            using (Gate.Enter())
            {
                calls++;
                if (!call.TryStart())
                {
                    return;
                }

                if (IsClosing)
                {
                    call.Fail(Errors.Closed());
                }
                else if (Link != null)
                {
                    Send(call, Link);
                }
                else if (!Settings.WaitsForConnection)
                {
                    call.Fail(Errors.NoConnection());
                }
                else
                {
                    Wait(call);
                }
            }
        }

        /// <summary>A call has ended.</summary>
        public void Settled(Call call)
        {
            calls--;
            StopWaiting(call);

            if (call.IsPatient)
            {
                patient.Remove(call);
            }

            if (isClosing)
            {
                CheckClosing();
            }
        }

        /// <summary>A connection has told what has happened.</summary>
        public void Delivered(Link link)
        {
            if (link == Link)
            {
                Watches.Arm();
            }
        }

        /// <summary>Has somebody hear of what happens to the connection. <c>false</c> when nothing more will.</summary>
        public bool Subscribe(ConnectionEvents listener)
        {
            if (IsClosed)
            {
                return false;
            }

            listeners.Add(listener);
            return true;
        }

        /// <summary>Somebody wants to hear no more.</summary>
        public void Unsubscribe(ConnectionEvents listener) => listeners.Remove(listener);

        private static bool Done(in Reply reply) => true;

        private void Tell(ConnectionEvent told)
        {
            foreach (ConnectionEvents listener in listeners)
            {
                listener.Tell(told);
            }
        }

        private void Send(Call call, Link link)
        {
            if (!call.Connected(link))
            {
                return;
            }

            Transaction? made = link.Machine.Request(call, call.Request, call.Options, Now, out NotMade why);
            if (made == null)
            {
                call.Fail(Errors.NotMade(why, Settings.MaxRequests));
                return;
            }

            call.Begin(link, made);
            if (call.IsPatient)
            {
                patient.Add(call);
            }

            link.Wake();
        }
    }
}
