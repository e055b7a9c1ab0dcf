#nullable enable

using System;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using NetSwap.Client;
using NetSwap.Wire;

namespace NetSwap
{
    /// <summary>
    /// A connection to a server, and the next one when it is lost. Any number of calls, of any threads, can be under way at
    /// once: large ones take turns with small ones (docs/PROTOCOL.md §2.3).
    /// </summary>
    /// <remarks>
    /// Calls fail with a <see cref="NetSwapException"/>, with a <see cref="CallCanceledException"/> when their token says so,
    /// and with an <see cref="ArgumentException"/> that names the argument where one is wrong. A request is never sent twice;
    /// the <see cref="NetSwapException.Outcome"/> of the error tells whether it may have taken effect. Nothing runs on the
    /// caller's synchronisation context. As usual with <see cref="ValueTask"/>, a call is awaited once.
    /// </remarks>
    public sealed partial class NetSwapClient : IAsyncDisposable, IDisposable
    {
        // The version of the protocol.
        private const int Protocol = 1;

        private readonly Session session;

        private NetSwapClient(Session session)
        {
            this.session = session;
        }

        /// <summary>Whether the client is closed for good.</summary>
        public bool IsClosed => session.IsClosed;

        /// <summary>Connects to a server and greets it, with all options as they are by default.</summary>
        /// <param name="address"><c>HOST:PORT</c>, <c>HOST</c> or <c>netswap://HOST:PORT</c>.</param>
        /// <param name="cancellationToken">Ends the attempt.</param>
        /// <exception cref="NetSwapException">As of the other overload.</exception>
        public static ValueTask<NetSwapClient> ConnectAsync(string address, CancellationToken cancellationToken = default) =>
            ConnectAsync(new NetSwapOptions(Check.NotNull(address, nameof(address))), cancellationToken);

        /// <summary>
        /// Connects to a server and greets it (docs/PROTOCOL.md §8.2, docs/PORTING.md §2). A first connection is not tried again.
        /// </summary>
        /// <param name="options">How to connect. What is changed of them later has no effect.</param>
        /// <param name="cancellationToken">Ends the attempt.</param>
        /// <returns>The client. It lives until it is closed or disposed of.</returns>
        /// <exception cref="NetSwapException">
        /// No connection can be made or nobody answers (<see cref="NetSwapErrorKind.Connect"/>), or somebody else answers than a
        /// server with room for this client.
        /// </exception>
        public static ValueTask<NetSwapClient> ConnectAsync(
            NetSwapOptions options, CancellationToken cancellationToken = default)
        {
            var settings = new Settings(options);
            return new ValueTask<NetSwapClient>(Task.Run(() => GreetAsync(settings, cancellationToken)));
        }

        /// <summary>
        /// What happens to the connection from now on, as an async enumerable, which ends after the client is closed. Up to 64
        /// events wait; of more the newest are missed.
        /// </summary>
        /// <param name="cancellationToken">Ends the enumeration.</param>
        public IAsyncEnumerable<ConnectionEvent> EventsAsync(CancellationToken cancellationToken = default) =>
            new ConnectionEvents(session, cancellationToken);

        /// <summary>
        /// Closes the client: calls that are under way get their answers, but for <see cref="ResolveWaitAsync"/>; watches end, and
        /// new calls fail with the kind <see cref="NetSwapErrorKind.Closed"/>. Ends when the connection has ended.
        /// </summary>
        public ValueTask CloseAsync() => new ValueTask(session.CloseAsync());

        /// <summary>As <see cref="CloseAsync"/>: what <c>await using</c> does.</summary>
        public ValueTask DisposeAsync() => CloseAsync();

        /// <summary>
        /// Closes the client at once: calls that are under way fail with the kind <see cref="NetSwapErrorKind.Closed"/>, and may
        /// have been done or not.
        /// </summary>
        public void Dispose() => session.Destroy();

        private static async Task<NetSwapClient> GreetAsync(Settings settings, CancellationToken token)
        {
            if (token.IsCancellationRequested)
            {
                throw new CallCanceledException(token, RequestOutcome.NotDone);
            }

            using (var late = CancellationTokenSource.CreateLinkedTokenSource(token))
            {
                Session.CancelAfter(late, settings.ConnectTimeout);
                Session? session = null;
                try
                {
                    Socket socket = await Dialer.DialAsync(settings, late.Token).ConfigureAwait(false);
                    session = new Session(settings);
                    ServerIdentity identity =
                        await session.GreetAsync(socket, IdentityOf, late.Token).ConfigureAwait(false);
                    if (identity.Protocol != Protocol)
                    {
                        throw Errors.OtherVersion(identity.Protocol);
                    }

                    return new NetSwapClient(session);
                }
                catch (Exception error)
                {
                    session?.Destroy();
                    if (error is NetSwapException)
                    {
                        throw;
                    }

                    if (token.IsCancellationRequested)
                    {
                        throw new CallCanceledException(token, RequestOutcome.NotDone);
                    }

                    throw late.IsCancellationRequested
                        ? Errors.NoAnswer(settings.Address, settings.ConnectTimeout)
                        : Errors.NotConnected(settings.Address, error);
                }
            }
        }
    }
}
