#nullable enable

using System;
using System.Collections.Generic;
using System.Threading;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    /// <summary>
    /// One call: its request goes to the connection, its answer comes back, and when it is given up it is aborted. All but
    /// <see cref="StopListening"/> happens inside the gate.
    /// </summary>
    internal abstract class Call : Waiter
    {
        private static readonly Action<object?> OnCanceled = state => ((Call)state!).Cancel();

        private CancellationTokenRegistration registration;
        private CancellationToken token;
        private bool isStarted;

        protected Call(Session session)
        {
            Session = session;
        }

        public Session Session { get; protected set; }

        public Request Request { get; protected set; }

        public RequestOptions Options { get; protected set; }

        /// <summary>Where it is under way, once it is.</summary>
        public Link? Link { get; private set; }

        public Transaction? Transaction { get; private set; }

        public bool IsSettled { get; private set; }

        /// <summary>Until when it waits for a connection.</summary>
        public long WaitsUntil { get; set; }

        /// <summary>Its place among those that wait for a connection.</summary>
        public LinkedListNode<Call>? Place { get; set; }

        /// <summary>Whether it waits for something that may not come for long, which ends with the client.</summary>
        public bool IsPatient => Options.Wait.HasValue;

        /// <summary>It is under way.</summary>
        public virtual void Begin(Link link, Transaction transaction)
        {
            Link = link;
            Transaction = transaction;
        }

        /// <summary>Has a token give it up, once it has started. Call it outside of the gate, and before.</summary>
        public void Listen(CancellationToken cancellation)
        {
            if (cancellation.CanBeCanceled)
            {
                token = cancellation;
                registration = cancellation.Register(OnCanceled, this, false);
            }
        }

        /// <summary>It begins, unless its token has given it up before.</summary>
        public bool TryStart()
        {
            isStarted = true;
            if (!token.IsCancellationRequested)
            {
                return true;
            }

            Fail(new CallCanceledException(token, RequestOutcome.NotDone));
            return false;
        }

        /// <summary>Has the token do nothing any more. Call it outside of the gate.</summary>
        public void StopListening()
        {
            registration.Dispose();
            registration = default;
        }

        /// <summary>Nobody waits for it any more. Tells what is known of its effect.</summary>
        public RequestOutcome Abandon()
        {
            RequestOutcome? outcome = null;
            if (Link != null && Transaction != null)
            {
                outcome = Link.Abort(Transaction);
            }

            Settle();
            return outcome ?? RequestOutcome.NotDone;
        }

        /// <summary>It has failed.</summary>
        public void Fail(Exception error)
        {
            if (!IsSettled)
            {
                Settle();
                OnFailed(error);
            }
        }

        /// <summary>It is given up by the client itself, with this error.</summary>
        public void GiveUp(Exception error)
        {
            Abandon();
            OnFailed(error);
        }

        /// <summary>There is a connection. <c>false</c> for a call that wants nothing else.</summary>
        public virtual bool Connected(Link link) => true;

        public override void Replied(in Reply reply)
        {
            if (IsSettled)
            {
                return;
            }

            Settle();
            Refusal? refusal = reply.Refusal;
            if (refusal != null)
            {
                OnFailed(Errors.Refused(refusal));
            }
            else
            {
                OnReplied(reply);
            }
        }

        public override void Ended(in Failure failure, Disconnect? cause)
        {
            if (!IsSettled)
            {
                Fail(Errors.Failed(failure, cause));
            }
        }

        /// <summary>It has ended with this reply.</summary>
        protected abstract void OnReplied(in Reply reply);

        /// <summary>It has ended with this error.</summary>
        protected abstract void OnFailed(Exception error);

        /// <summary>It is as new, to be used again.</summary>
        protected void Reset()
        {
            Request = default;
            IsSettled = false;
            isStarted = false;
            token = default;
        }

        /// <summary>It has ended, in whatever way.</summary>
        protected void Settle()
        {
            if (IsSettled)
            {
                return;
            }

            IsSettled = true;
            Link = null;
            Transaction = null;
            Session.Settled(this);
        }

        private void Cancel()
        {
            using (Session.Gate.Enter())
            {
                if (isStarted && !IsSettled)
                {
                    RequestOutcome outcome = Abandon();
                    OnFailed(new CallCanceledException(token, outcome));
                }
            }
        }
    }
}
