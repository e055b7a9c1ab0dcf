#nullable enable

using System;
using System.Collections.Generic;

namespace NetSwap.Client
{
    /// <summary>The watches of a client, across its connections: which have to be armed again. All of it is inside the gate.</summary>
    internal sealed class Watches
    {
        // Watches that are armed again at the same time at most: they leave room to calls.
        private const int ArmedAtOnce = 64;

        private readonly Session session;
        private readonly LinkedList<WatchState> all = new LinkedList<WatchState>();

        // Those that are to be armed again, the oldest first.
        private readonly Queue<WatchState> waiting = new Queue<WatchState>();

        public Watches(Session session)
        {
            this.session = session;
        }

        /// <summary>How many have been asked for and have not got their OK.</summary>
        public int Asked { get; set; }

        /// <summary>How many have been asked for and have never been armed.</summary>
        public int Beginning { get; set; }

        /// <summary>Whether there will be no more connections: what ends now is no interruption.</summary>
        public bool NoMore { get; private set; }

        /// <summary>Whether somebody waits for the beginning of a watch.</summary>
        public bool AnyBegins => Beginning > 0;

        public Session Session => session;

        public void ExpectTheEnd() => NoMore = true;

        /// <summary>There is another watch.</summary>
        public LinkedListNode<WatchState> Add(WatchState state) => all.AddLast(state);

        /// <summary>A watch is over.</summary>
        public void Remove(LinkedListNode<WatchState> node) => all.Remove(node);

        /// <summary>There is a new connection: all watches are to be armed again.</summary>
        public void ArmAll()
        {
            waiting.Clear();
            foreach (WatchState state in all)
            {
                Again(state);
            }

            Arm();
        }

        /// <summary>A watch is to be armed again on this connection.</summary>
        public void Again(WatchState state)
        {
            if (state.Stage == WatchStage.Unarmed)
            {
                waiting.Enqueue(state);
            }
        }

        /// <summary>Arms those that wait for it, as many as may be at once.</summary>
        public void Arm()
        {
            Link? link = session.Link;
            while (link != null && waiting.Count > 0 && Asked < ArmedAtOnce)
            {
                WatchState state = waiting.Peek();
                if (state.Stage == WatchStage.Unarmed && !state.Ask(link))
                {
                    return;
                }

                waiting.Dequeue();
            }
        }

        /// <summary>There will be no more connections.</summary>
        public void EndAll(Func<Exception> error)
        {
            waiting.Clear();
            foreach (WatchState state in new List<WatchState>(all))
            {
                state.End(error());
            }
        }
    }
}
