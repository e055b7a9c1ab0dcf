#nullable enable

using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>Who waits for a transaction: what the events of a connection are passed on to. All is called inside the gate.</summary>
    internal abstract class Waiter
    {
        public abstract void Replied(in Reply reply);

        /// <summary>It has ended without a reply. The cause is why the connection has ended, where it has.</summary>
        public abstract void Ended(in Failure failure, Disconnect? cause);

        /// <summary>Data of a download, in rented memory.</summary>
        public virtual void Piece(byte[] rented, int length, long total)
        {
        }

        public virtual void Wanted()
        {
        }

        public virtual void Watching(ulong version)
        {
        }

        public virtual void Notified(in RecordChange change)
        {
        }
    }
}
