#nullable enable

using System;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace NetSwap.Client
{
    /// <summary>Options that were checked. Times are in ticks of 100 ns.</summary>
    internal sealed class Settings
    {
        // The port that servers listen on by default.
        private const int DefaultPort = 7420;

        private const string Scheme = "netswap://";

        public Settings(NetSwapOptions options)
        {
            Check.NotNull(options, nameof(options));
            (Host, Port) = ParseAddress(Check.NotNull(options.Address, nameof(options.Address)));
            string shown = Host.IndexOf(':') >= 0 ? "[" + Host + "]" : Host;
            Address = shown + ":" + Port.ToString(CultureInfo.InvariantCulture);
            Bind = options.Bind;
            ConnectTimeout = Check.Time(options.ConnectTimeout, nameof(options.ConnectTimeout));
            RequestTimeout = Check.Time(options.RequestTimeout, nameof(options.RequestTimeout));
            Reconnects = options.Reconnect;
            FirstDelay = Check.Time(options.FirstReconnectDelay, nameof(options.FirstReconnectDelay));
            LongestDelay = Check.Time(options.LongestReconnectDelay, nameof(options.LongestReconnectDelay));
            WaitsForConnection = options.WaitForConnection;
            MaxReply = Check.U32(options.MaxReply, nameof(options.MaxReply));
            MaxRequests = (int)Check.Within(options.MaxRequests, 1, int.MaxValue, nameof(options.MaxRequests));
        }

        public string Host { get; }

        public int Port { get; }

        /// <summary>Host and port, as messages have them.</summary>
        public string Address { get; }

        public IPAddress? Bind { get; }

        public long ConnectTimeout { get; }

        public long RequestTimeout { get; }

        public bool Reconnects { get; }

        public long FirstDelay { get; }

        public long LongestDelay { get; }

        public bool WaitsForConnection { get; }

        public long MaxReply { get; }

        public int MaxRequests { get; }

        // Reads HOST:PORT, HOST, [IPv6]:PORT, IPv6, or a URL of them with whatever path.
        private static (string Host, int Port) ParseAddress(string address)
        {
            string text = address;
            if (text.StartsWith(Scheme, StringComparison.Ordinal))
            {
                text = text.Substring(Scheme.Length);
                int slash = text.IndexOf('/');
                text = slash < 0 ? text : text.Substring(0, slash);
            }

            if (IsIPv6(text))
            {
                return (text, DefaultPort);
            }

            string host = text;
            string? port = null;
            int colon = text.LastIndexOf(':');
            if (colon >= 0 && !text.EndsWith("]", StringComparison.Ordinal))
            {
                host = text.Substring(0, colon);
                port = text.Substring(colon + 1);
            }

            bool inBrackets = host.StartsWith("[", StringComparison.Ordinal) && host.EndsWith("]", StringComparison.Ordinal);
            if (inBrackets)
            {
                host = host.Substring(1, host.Length - 2);
            }

            int number = DefaultPort;
            bool isPort = port == null
                || (int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out number)
                    && number >= 1 && number <= 65535);
            if (!isPort || (inBrackets ? !IsIPv6(host) : !IsName(host)))
            {
                throw new ArgumentException(
                    "must be HOST:PORT or netswap://HOST:PORT", nameof(NetSwapOptions.Address));
            }

            return (host, number);
        }

        private static bool IsIPv6(string text) => text.IndexOf(':') >= 0 && text.IndexOf('[') < 0
            && IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6;

        private static bool IsName(string text)
        {
            foreach (char one in text)
            {
                if (char.IsWhiteSpace(one) || char.IsControl(one) || one == ':' || one == '/' || one == '[' || one == ']')
                {
                    return false;
                }
            }

            return text.Length > 0;
        }
    }
}
