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
    internal sealed class Session
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

        /// <summary>The connection has ended, and every transaction with it.</summary>
        public void Lost(Link link, Disconnect cause)
        {
            if (link != Link)
            {
                return;
            }

            bool again = reconnects && !isClosing;
            Link = null;
            Tell(new ConnectionEvent(ConnectionEventKind.Disconnected, Errors.Lost(cause, RequestOutcome.NotDone)));
            if (!again)
            {
                Watches.ExpectTheEnd();
            }

            // Calls that are made from now on wait for the next connection.
            link.Deliver(cause);
            if (!again)
            {
                Close(cause);
                return;
            }

            if (link.HasAnswered)
            {
                delays.Reset();
            }

            Background.Run(ReconnectAsync);
        }

        /// <summary>
        /// Takes no more calls; ends those that may have to wait for long, and the connection when all others have their
        /// answers. Outside.
        /// </summary>
        public Task CloseAsync()
        {
            using (Gate.Enter())
            {
                if (!isClosing && !IsClosed)
                {
                    isClosing = true;
                    Watches.ExpectTheEnd();
                    foreach (Call call in new List<Call>(patient))
                    {
                        GiveUp(call);
                    }

                    foreach (Call call in new List<Call>(waiting))
                    {
                        GiveUp(call);
                    }

                    CheckClosing();
                }
            }

            return whenClosed.Task;
        }

        /// <summary>Ends the connection, when nobody waits for an answer any more.</summary>
        public void CheckClosing()
        {
            if (!isClosing || IsClosed || calls > 0 || Watches.AnyBegins)
            {
                return;
            }

            Link? link = Link;
            if (link == null)
            {
                if (ending == null)
                {
                    Close(null);
                }

                return;
            }

            Link = null;
            ending = link;
            Watches.EndAll(Errors.Closed);
            Background.Run(async () =>
            {
                await link.EndAsync().ConfigureAwait(false);
                using (Gate.Enter())
                {
                    Close(null);
                }
            });
        }

        /// <summary>Ends everything at once. Outside.</summary>
        public void Destroy()
        {
            using (Gate.Enter())
            {
                if (IsClosed)
                {
                    return;
                }

                isClosing = true;
                ending?.Destroy();
                Watches.ExpectTheEnd();
                Link? link = Link;
                Link = null;
                if (link != null)
                {
                    link.Destroy();
                    link.Machine.HandleEnd();
                    link.Deliver(null);
                }

                Close(null);
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

        private void Wait(Call call)
        {
            call.WaitsUntil = Clock.After(Now, call.Options.IdleTimeout);
            call.Place = waiting.AddLast(call);
            SetWaitTimer(call.WaitsUntil);
        }

        private void StopWaiting(Call call)
        {
            if (call.Place != null)
            {
                waiting.Remove(call.Place);
                call.Place = null;
            }
        }

        // Fails the calls that have waited for a connection for too long. Outside.
        private void CheckWaiting()
        {
            using (Gate.Enter())
            {
                if (IsClosed)
                {
                    return;
                }

                waitTimerAt = Clock.Never;
                long now = Now;
                foreach (Call call in new List<Call>(waiting))
                {
                    if (call.WaitsUntil <= now)
                    {
                        call.Fail(Errors.NoConnectionForLong());
                    }
                    else
                    {
                        SetWaitTimer(call.WaitsUntil);
                    }
                }
            }
        }

        // Sets the timer, where this is before what it is set to.
        private void SetWaitTimer(long at)
        {
            if (at < waitTimerAt)
            {
                waitTimerAt = at;
                long delay = Math.Max(0, at - Now) / TimeSpan.TicksPerMillisecond;
                waitTimer.Change(Math.Min(delay + 1, int.MaxValue), Timeout.Infinite);
            }
        }

        // Connects again, however many attempts it takes. Outside.
        private async Task ReconnectAsync()
        {
            while (true)
            {
                TimeSpan delay;
                using (Gate.Enter())
                {
                    if (IsClosed)
                    {
                        return;
                    }

                    delay = delays.Next();
                    Tell(new ConnectionEvent(ConnectionEventKind.Reconnecting, attempt: delays.Attempt, delay: delay));
                }

                try
                {
                    await Task.Delay(delay, over.Token).ConfigureAwait(false);
                    using (var late = CancellationTokenSource.CreateLinkedTokenSource(over.Token))
                    {
                        CancelAfter(late, Settings.ConnectTimeout);
                        Connected(await Dialer.DialAsync(Settings, late.Token).ConfigureAwait(false));
                        return;
                    }
                }
                catch (Exception)
                {
                    // Whatever it was, the next attempt may do better.
                }
            }
        }

        /// <summary>Has a source cancel after a time in ticks, which may be for ever.</summary>
        public static void CancelAfter(CancellationTokenSource source, long ticks)
        {
            if (ticks != Clock.Never)
            {
                source.CancelAfter((int)Math.Min((ticks / TimeSpan.TicksPerMillisecond) + 1, int.MaxValue));
            }
        }

        private void Connected(Socket socket)
        {
            using (Gate.Enter())
            {
                if (IsClosed)
                {
                    socket.Dispose();
                    return;
                }

                var link = new Link(this, socket, config);
                Link = link;
                Tell(new ConnectionEvent(ConnectionEventKind.Connected));
                Watches.ArmAll();
                foreach (Call call in new List<Call>(waiting))
                {
                    if (!call.IsSettled)
                    {
                        StopWaiting(call);
                        Send(call, link);
                    }
                }

                link.Start();
            }
        }

        private void GiveUp(Call call)
        {
            if (!call.IsSettled)
            {
                call.GiveUp(Errors.Closed());
            }
        }

        // There is no connection, and will be none: whoever still waits is told.
        private void Close(Disconnect? cause)
        {
            if (IsClosed)
            {
                return;
            }

            IsClosed = true;
            bool told = isClosing || cause == null;
            waitTimer.Dispose();
            Watches.EndAll(() => told ? Errors.Closed() : Errors.Lost(cause!, RequestOutcome.NotDone));
            foreach (Call call in new List<Call>(waiting))
            {
                call.Fail(Errors.Closed());
            }

            Tell(new ConnectionEvent(ConnectionEventKind.Closed));
            listeners.Clear();
            whenClosed.TrySetResult(true);

            // Not from inside: whoever waits for it might go on at once.
            Gate.Defer(new Cancellation(over));
        }

        private sealed class Cancellation : IDeferred
        {
            private readonly CancellationTokenSource source;

            public Cancellation(CancellationTokenSource source)
            {
                this.source = source;
            }

            public void Run() => source.Cancel();
        }
    }
}
