#nullable enable

using System;
using System.Collections.Generic;
using System.Threading;

namespace NetSwap.Client
{
    /// <summary>Something to be done as soon as nobody is inside.</summary>
    internal interface IDeferred
    {
        /// <summary>Does it. It must not throw.</summary>
        void Run();
    }

    /// <summary>
    /// The lock of one client. Whatever could run code of others, such as the completion of a call, is deferred until it is
    /// left, so that a peculiar synchronisation context never runs inside of it.
    /// </summary>
    internal sealed class Gate
    {
        private List<IDeferred> due = new List<IDeferred>();
        private List<IDeferred>? spare = new List<IDeferred>();
        private int depth;

        /// <summary>Enters, until what is returned is disposed of.</summary>
        public Scope Enter()
        {
            Monitor.Enter(this);
            depth++;
            return new Scope(this);
        }

        /// <summary>Has something done when the gate is left. Call it inside.</summary>
        public void Defer(IDeferred work) => due.Add(work);

        private void Leave()
        {
            depth--;
            if (depth > 0 || due.Count == 0)
            {
                Monitor.Exit(this);
                return;
            }

            List<IDeferred> taken = due;
            due = Interlocked.Exchange(ref spare, null) ?? new List<IDeferred>();
            Monitor.Exit(this);
            foreach (IDeferred work in taken)
            {
                work.Run();
            }

            taken.Clear();
            Interlocked.Exchange(ref spare, taken);
        }

        /// <summary>A stay inside.</summary>
        internal readonly struct Scope : IDisposable
        {
            private readonly Gate gate;

            public Scope(Gate gate)
            {
                this.gate = gate;
            }

            public void Dispose() => gate.Leave();
        }
    }
}
