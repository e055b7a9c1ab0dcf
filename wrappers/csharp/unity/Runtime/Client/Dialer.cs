#nullable enable

using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace NetSwap.Client
{
    /// <summary>Connects sockets.</summary>
    internal static class Dialer
    {
        /// <summary>
        /// Connects a socket, to the first address of the host that takes it. Fails with whatever the system says, or with an
        /// <see cref="OperationCanceledException"/> when the token says so, which has to be within the time that there is.
        /// </summary>
        public static async Task<Socket> DialAsync(Settings settings, CancellationToken token)
        {
            IPAddress[] addresses = await ResolveAsync(settings.Host, token).ConfigureAwait(false);
            Exception? last = null;
            foreach (IPAddress address in addresses)
            {
                if (settings.Bind != null && settings.Bind.AddressFamily != address.AddressFamily)
                {
                    continue;
                }

                try
                {
                    return await ConnectAsync(new IPEndPoint(address, settings.Port), settings.Bind, token).ConfigureAwait(false);
                }
                catch (Exception error) when (error is SocketException || error is ObjectDisposedException)
                {
                    token.ThrowIfCancellationRequested();
                    last = error;
                }
            }

            throw last ?? new SocketException((int)SocketError.HostNotFound);
        }

        // A server that has vanished is found out when the system's probes are not answered: within 90 s on .NET 8. netstandard
        // has no options for these times.
        private static void KeepAlive(Socket socket)
        {
            try
            {
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
#if NET8_0_OR_GREATER
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 50);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
#endif
            }
            catch (SocketException)
            {
                // Then it is as the system has it.
            }
        }

        private static async Task<IPAddress[]> ResolveAsync(string host, CancellationToken token)
        {
            if (IPAddress.TryParse(host, out IPAddress? address))
            {
                return new[] { address };
            }

            Task<IPAddress[]> asked = Dns.GetHostAddressesAsync(host);
            var canceled = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            using (token.Register(state => ((TaskCompletionSource<bool>)state!).TrySetResult(true), canceled, false))
            {
                if (await Task.WhenAny(asked, canceled.Task).ConfigureAwait(false) != asked)
                {
                    // Whatever comes of it concerns nobody any more.
                    _ = asked.ContinueWith(
                        late => late.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                        TaskScheduler.Default);
                    token.ThrowIfCancellationRequested();
                }
            }

            return await asked.ConfigureAwait(false);
        }

        private static async Task<Socket> ConnectAsync(IPEndPoint to, IPAddress? bind, CancellationToken token)
        {
            var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.NoDelay = true;
                if (bind != null)
                {
                    socket.Bind(new IPEndPoint(bind, 0));
                }

                using (token.Register(state => ((Socket)state!).Dispose(), socket, false))
                {
                    await socket.ConnectAsync(to).ConfigureAwait(false);
                }

                token.ThrowIfCancellationRequested();
                KeepAlive(socket);
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }
}
