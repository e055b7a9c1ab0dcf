#nullable enable

using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace NetSwap.Client
{
    /// <summary>What happens to a client's connection, as an async iterable, which ends after the last event. Up to 64 wait.</summary>
    internal sealed class ConnectionEvents : IAsyncEnumerable<ConnectionEvent>, IAsyncEnumerator<ConnectionEvent>
    {
        // One that lets more gather misses the newest.
        private const int WaitingAtMost = 64;

        private readonly Session session;
        private readonly Queue<ConnectionEvent> waiting = new Queue<ConnectionEvent>();
        private readonly Signal signal = new Signal();
        private readonly CancellationToken token;
        private CancellationToken other;
        private ConnectionEvent? current;
        private bool isOver;

        public ConnectionEvents(Session session, CancellationToken token)
        {
            this.session = session;
            this.token = token;
            using (session.Gate.Enter())
            {
                isOver = !session.Subscribe(this);
            }
        }

        public ConnectionEvent Current => current!;

        /// <summary>Something has happened. Inside the gate.</summary>
        public void Tell(ConnectionEvent told)
        {
            if (waiting.Count < WaitingAtMost || told.Kind == ConnectionEventKind.Closed)
            {
                waiting.Enqueue(told);
            }

            isOver |= told.Kind == ConnectionEventKind.Closed;
            signal.Set();
        }

        public IAsyncEnumerator<ConnectionEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default)
        {
            other = cancellationToken;
            return this;
        }

        public async ValueTask<bool> MoveNextAsync()
        {
            using (token.Register(state => ((Signal)state!).Set(), signal, false))
            using (other.Register(state => ((Signal)state!).Set(), signal, false))
            {
                while (true)
                {
                    token.ThrowIfCancellationRequested();
                    other.ThrowIfCancellationRequested();
                    using (session.Gate.Enter())
                    {
                        if (waiting.Count > 0)
                        {
                            current = waiting.Dequeue();
                            return true;
                        }

                        if (isOver)
                        {
                            return false;
                        }
                    }

                    await signal.WaitAsync().ConfigureAwait(false);
                }
            }
        }

        public ValueTask DisposeAsync()
        {
            using (session.Gate.Enter())
            {
                isOver = true;
                waiting.Clear();
                session.Unsubscribe(this);
            }

            return default;
        }
    }
}
