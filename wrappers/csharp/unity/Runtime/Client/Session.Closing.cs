#nullable enable

using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;

namespace NetSwap.Client
{
    /// <content>How a client ends.</content>
    internal sealed partial class Session
    {
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
