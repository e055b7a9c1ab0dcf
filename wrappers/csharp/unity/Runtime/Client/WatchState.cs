#nullable enable

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Connections;
using NetSwap.Wire;

namespace NetSwap.Client
{
    internal enum WatchStage
    {
        /// <summary>To be armed, or armed again.</summary>
        Unarmed,

        /// <summary>The server was asked, and has not answered.</summary>
        Asked,

        Armed,

        Over,
    }

    /// <summary>One watch, whatever connection it is on. What is not said to be outside happens inside the gate.</summary>
    internal sealed class WatchState : Waiter, IDeferred
    {
        private readonly Watches watches;
        private readonly Request request;
        private readonly RequestOptions options;
        private readonly LinkedListNode<WatchState> node;
        private readonly Backlog backlog = new Backlog();
        private readonly Signal changed = new Signal();
        private readonly TaskCompletionSource<ulong> begun =
            new TaskCompletionSource<ulong>(TaskCreationOptions.RunContinuationsAsynchronously);

        private Link? link;
        private Transaction? transaction;

        // Whether it has ever been armed.
        private bool hasBegun;

        // Whether the application was told of an interruption, and not of its end.
        private bool isInterrupted;

        // What comes after the last change, once.
        private Exception? error;
        private CancellationTokenRegistration registration;

        public WatchState(Watches watches, NetworkPointer pointer, bool push)
        {
            this.watches = watches;
            request = Request.WatchRecord(pointer, push);
            options = new RequestOptions(watches.Session.Settings.RequestTimeout);
            node = watches.Add(this);
        }

        public WatchStage Stage { get; private set; }

        /// <summary>Ends when it is armed first, with the version that the record has then.</summary>
        public Task<ulong> Begun => begun.Task;

        private bool Begins => !hasBegun && Stage == WatchStage.Asked;

        /// <summary>Has a token give it up. Outside.</summary>
        public void Listen(CancellationToken token)
        {
            registration = token.Register(
                () =>
                {
                    using (watches.Session.Gate.Enter())
                    {
                        Stop(new CallCanceledException(token, RequestOutcome.NotDone));
                    }
                },
                false);
        }

        /// <summary>Asks the server. <c>false</c> when there is no room for another request now.</summary>
        public bool Ask(Link on)
        {
            Transaction? made = on.Machine.Request(this, request, options, Session.Now, out NotMade why);
            if (made == null)
            {
                if (!hasBegun)
                {
                    End(Errors.NotMade(why, watches.Session.Settings.MaxRequests));
                }

                return false;
            }

            link = on;
            transaction = made;
            Stage = WatchStage.Asked;
            watches.Asked++;
            watches.Beginning += hasBegun ? 0 : 1;
            on.Wake();
            return true;
        }

        /// <summary>The next change, when there is one; <c>null</c> after the last. One caller at a time. Outside.</summary>
        public async ValueTask<RecordChange?> NextAsync(CancellationToken token = default)
        {
            using (token.Register(state => ((Signal)state!).Set(), changed, false))
            {
                while (true)
                {
                    using (watches.Session.Gate.Enter())
                    {
                        if (backlog.TryPop(out RecordChange change))
                        {
                            return change;
                        }

                        if (Stage == WatchStage.Over)
                        {
                            Exception? last = error;
                            error = null;
                            return last == null ? (RecordChange?)null : throw last;
                        }
                    }

                    if (token.IsCancellationRequested)
                    {
                        throw new CallCanceledException(token, RequestOutcome.NotDone);
                    }

                    await changed.WaitAsync().ConfigureAwait(false);
                }
            }
        }

        /// <summary>The next change, if there is one already. Outside.</summary>
        public bool TryNext(out RecordChange change)
        {
            using (watches.Session.Gate.Enter())
            {
                return backlog.TryPop(out change);
            }
        }

        /// <summary>Nobody wants to hear of it any more, or only this error.</summary>
        public void Stop(Exception? last = null)
        {
            if (Stage == WatchStage.Over)
            {
                return;
            }

            Link? on = link;
            Transaction? under = transaction;
            backlog.Clear();
            End(last);
            if (on != null && under != null)
            {
                on.Abort(under);
            }
        }

        /// <summary>Nothing more comes, but this error once.</summary>
        public void End(Exception? last)
        {
            if (Stage == WatchStage.Over)
            {
                return;
            }

            bool begins = Begins;
            Leave(WatchStage.Over);
            watches.Remove(node);
            watches.Session.Gate.Defer(this);
            if (hasBegun)
            {
                error = last;
            }
            else
            {
                begun.TrySetException(last ?? Errors.Closed());
                _ = begun.Task.Exception;
            }

            changed.Set();
            if (begins)
            {
                watches.Session.CheckClosing();
            }
        }

        /// <summary>It is over, and outside of the gate.</summary>
        public void Run() => registration.Dispose();

        public override void Watching(ulong version)
        {
            if (Stage != WatchStage.Asked)
            {
                return;
            }

            bool begins = Begins;
            Leave(WatchStage.Armed);
            isInterrupted = false;
            if (begins)
            {
                hasBegun = true;
                begun.TrySetResult(version);
                watches.Session.CheckClosing();
            }
            else
            {
                // The whole record is told again: nothing is lost if this tears what was told before.
                Tell(RecordChange.Resumed(version));
            }
        }

        public override void Notified(in RecordChange change)
        {
            Link? on = link;
            Transaction? under = transaction;
            if (Stage != WatchStage.Armed || on == null || under == null)
            {
                return;
            }

            bool kept = Tell(change);
            if (change.IsLast)
            {
                End(null);
            }
            else if (kept)
            {
                on.Consumed(under, change.Weight);
            }
            else
            {
                // A watch that begins anew is told of the whole record.
                Leave(WatchStage.Unarmed);
                on.Abort(under);
                watches.Again(this);
                watches.Arm();
            }
        }

        public override void Replied(in Reply reply)
        {
            Refusal? refusal = reply.Refusal;
            if (refusal != null)
            {
                End(Errors.Refused(refusal));
            }
        }

        public override void Ended(in Failure failure, Disconnect? cause)
        {
            if (Stage == WatchStage.Over || Stage == WatchStage.Unarmed)
            {
                return;
            }

            bool goesOn = hasBegun
                && (failure.Kind == FailureKind.ConnectionLost || failure.Kind == FailureKind.Aborted);
            if (!goesOn)
            {
                End(Errors.Failed(failure, cause));
                return;
            }

            Leave(WatchStage.Unarmed);
            if (!watches.NoMore && !isInterrupted)
            {
                isInterrupted = true;

                // As above.
                Tell(RecordChange.Of(ChangeKind.Interrupted));
            }
        }

        private void Leave(WatchStage stage)
        {
            if (Stage == WatchStage.Asked)
            {
                watches.Asked--;
                watches.Beginning -= hasBegun ? 0 : 1;
            }

            Stage = stage;
            if (stage != WatchStage.Armed)
            {
                link = null;
                transaction = null;
            }
        }

        private bool Tell(in RecordChange change)
        {
            bool kept = backlog.Push(change);
            changed.Set();
            return kept;
        }
    }
}
