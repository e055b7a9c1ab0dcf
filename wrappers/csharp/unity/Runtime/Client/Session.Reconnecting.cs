#nullable enable

using System;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;

namespace NetSwap.Client
{
    /// <content>How a lost connection is made again, and who waits for it meanwhile.</content>
    internal sealed partial class Session
    {
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
    }
}
