#nullable enable

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;

namespace NetSwap.Client
{
    /// <summary>
    /// Moves the bytes of one connection between its socket and its state machine, and watches the clock for it. Two loops,
    /// one that reads and one that writes, run in the thread pool until the connection is over.
    /// </summary>
    internal sealed class Link : IDeferred
    {
        // The memory that the socket is read into.
        private const int ReadAtMost = 64 * 1024;

        // The memory to write from, while little is to be sent, and while there is much.
        private const int WriteFirst = 8 * 1024;
        private const int WriteAtMost = 128 * 1024;

        // How long the last bytes of a client that is being closed may take to leave.
        private static readonly TimeSpan CloseWithin = TimeSpan.FromSeconds(1);

        private readonly Session session;
        private readonly Gate gate;
        private readonly Socket socket;
        private readonly Signal toWrite = new Signal();
        private readonly Signal toRead = new Signal();
        private readonly Timer timer;
        private readonly TaskCompletionSource<bool> whenOver =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);

        // An empty list for the next events, unless events are being delivered.
        private List<Event>? spareEvents;
        private long timerAt = Clock.Never;
        private bool isOver;
        private bool isEnding;

        // Whether nothing is read until the machine wants input again.
        private bool isPaused;

        public Link(Session session, Socket socket, in ConnectionConfig config)
        {
            this.session = session;
            this.socket = socket;
            gate = session.Gate;
            Machine = new Connection(config);
            timer = Background.Timer(state => ((Link)state!).TimeOut(), this);
        }

        public Connection Machine { get; }

        /// <summary>Whether the server has ever said anything that makes sense.</summary>
        public bool HasAnswered { get; private set; }

        /// <summary>Begins to move bytes.</summary>
        public void Start()
        {
            Background.Run(ReadAsync);
            Background.Run(WriteAsync);
        }

        /// <summary>There is something to send: it leaves together with whatever else is asked for until it does.</summary>
        public void Wake()
        {
            toWrite.Set();
            WatchClock();
        }

        /// <summary>Gives up a transaction.</summary>
        public RequestOutcome? Abort(Transaction transaction)
        {
            RequestOutcome? outcome = Machine.Abort(transaction, Session.Now);
            Moved();
            return outcome;
        }

        /// <summary>The caller has taken so many bytes of pieces or changes.</summary>
        public void Consumed(Transaction transaction, long count)
        {
            Machine.Consumed(transaction, count, Session.Now);
            Moved();
        }

        /// <summary>Sends what is left, and ends the connection in order; in any case after a second. Call it outside of the gate.</summary>
        public async Task EndAsync()
        {
            using (gate.Enter())
            {
                isEnding = true;
                toWrite.Set();
                toRead.Set();
            }

            using (var late = new CancellationTokenSource())
            {
                await Task.WhenAny(whenOver.Task, Task.Delay(CloseWithin, late.Token)).ConfigureAwait(false);
                late.Cancel();
            }

            using (gate.Enter())
            {
                Destroy();
            }
        }

        /// <summary>Closes the socket at once. Nothing is told any more.</summary>
        public void Destroy()
        {
            if (isOver)
            {
                return;
            }

            isOver = true;
            timer.Dispose();
            gate.Defer(this);
            toWrite.Set();
            toRead.Set();
            whenOver.TrySetResult(true);
        }

        /// <summary>Closes the socket, outside of the gate: whoever waits for it may go on at once.</summary>
        public void Run() => socket.Dispose();

        private async Task ReadAsync()
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadAtMost);
            var cause = new Disconnect();
            try
            {
                using (var receiving = new SocketOperation(socket))
                {
                    int count = 1;
                    while (count > 0)
                    {
                        if (!WantsInput(out bool over))
                        {
                            if (over)
                            {
                                return;
                            }

                            await toRead.WaitAsync().ConfigureAwait(false);
                            continue;
                        }

                        count = await receiving.ReceiveAsync(buffer).ConfigureAwait(false);
                        Input(buffer.AsSpan(0, count));
                    }
                }
            }
            catch (Exception error)
            {
                cause = new Disconnect(error);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            Lost(cause);
        }

        private bool WantsInput(out bool over)
        {
            using (gate.Enter())
            {
                over = isOver;
                isPaused = !Machine.WantsRead && !isEnding;
                return !over && !isPaused;
            }
        }

        private void Input(ReadOnlySpan<byte> bytes)
        {
            using (gate.Enter())
            {
                if (isOver || bytes.IsEmpty)
                {
                    return;
                }

                Fault? fault = Machine.HandleInput(bytes, Session.Now);
                if (fault != null)
                {
                    Lost(new Disconnect(fault: fault));
                    return;
                }

                HasAnswered = true;
                Moved();
            }
        }

        private async Task WriteAsync()
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(WriteFirst);
            try
            {
                using (var sending = new SocketOperation(socket))
                {
                    while (TakeOutput(buffer, out int length, out bool isMore, out bool isLast))
                    {
                        for (int at = 0; at < length;)
                        {
                            at += await sending.SendAsync(buffer, at, length - at).ConfigureAwait(false);
                        }

                        if (isLast)
                        {
                            socket.Shutdown(SocketShutdown.Send);
                            return;
                        }

                        // There is much to be sent, or nothing.
                        if (isMore ? buffer.Length < WriteAtMost : length == 0 && buffer.Length >= WriteAtMost)
                        {
                            ArrayPool<byte>.Shared.Return(buffer);
                            buffer = ArrayPool<byte>.Shared.Rent(isMore ? WriteAtMost : WriteFirst);
                        }
                        else if (length == 0)
                        {
                            await toWrite.WaitAsync().ConfigureAwait(false);
                        }
                    }
                }
            }
            catch (Exception error)
            {
                Lost(new Disconnect(error));
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }

        // Fills the buffer with what is to be sent next. `false` when the connection is over.
        private bool TakeOutput(byte[] buffer, out int length, out bool isMore, out bool isLast)
        {
            using (gate.Enter())
            {
                length = isOver ? 0 : Machine.Take(buffer, Session.Now);
                isMore = Machine.WantsWrite;
                isLast = isEnding && !isMore;
                if (!isOver)
                {
                    Moved();
                }

                return !isOver;
            }
        }

        private void TimeOut()
        {
            using (gate.Enter())
            {
                if (isOver)
                {
                    return;
                }

                timerAt = Clock.Never;
                Fault? fault = Machine.HandleTimeout(Session.Now);
                if (fault != null)
                {
                    Lost(new Disconnect(fault: fault));
                    return;
                }

                Moved();
            }
        }

        private void Lost(Disconnect cause)
        {
            using (gate.Enter())
            {
                if (!isOver)
                {
                    Destroy();
                    Machine.HandleEnd();
                    session.Lost(this, cause);
                }
            }
        }

        // Passes on what has happened, and has the loops and the timer do what the machine wants now.
        private void Moved()
        {
            Deliver(null);
            if (isOver)
            {
                return;
            }

            if (Machine.WantsWrite)
            {
                toWrite.Set();
            }

            if (isPaused && Machine.WantsRead)
            {
                isPaused = false;
                toRead.Set();
            }

            WatchClock();
        }

        /// <summary>Passes on what has happened.</summary>
        public void Deliver(Disconnect? cause)
        {
            while (Machine.Events.Count > 0)
            {
                List<Event> events = Machine.TakeEvents(spareEvents ?? new List<Event>());
                spareEvents = null;
                foreach (Event one in events)
                {
                    Dispatch(one, cause);
                }

                events.Clear();
                spareEvents = events;
            }

            session.Delivered(this);
        }

        private static void Dispatch(in Event one, Disconnect? cause)
        {
            var waiter = (Waiter)one.Owner;
            switch (one.Kind)
            {
                case EventKind.Replied:
                    waiter.Replied(one.Reply);
                    break;
                case EventKind.Piece:
                    waiter.Piece(one.Reply.Data, (int)one.Reply.First, (long)one.Reply.Second);
                    break;
                case EventKind.Wanted:
                    waiter.Wanted();
                    break;
                case EventKind.Watching:
                    waiter.Watching(one.Reply.First);
                    break;
                case EventKind.Notified:
                    waiter.Notified(one.Change);
                    break;
                default:
                    waiter.Ended(one.Failure, cause);
                    break;
            }
        }

        // Sets the timer, where the next deadline is before what it is set to.
        private void WatchClock()
        {
            long at = Machine.Timeout;
            if (at >= timerAt || isOver)
            {
                return;
            }

            timerAt = at;
            long delay = Math.Max(0, at - Session.Now) / TimeSpan.TicksPerMillisecond;
            timer.Change(Math.Min(delay + 1, int.MaxValue), Timeout.Infinite);
        }
    }
}
