using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace NetSwap.Conformance
{
    /// <summary>Values of a line, in the order in which they were added.</summary>
    internal sealed class Values
    {
        private readonly StringBuilder text = new StringBuilder();

        public object? this[string key]
        {
            set
            {
                if (value != null)
                {
                    text.Append(' ').Append(key).Append('=').Append(Convert.ToString(value, CultureInfo.InvariantCulture));
                }
            }
        }

        public override string ToString() => text.ToString();
    }

    /// <summary>How values are spelled (docs/PORTING.md §4.1).</summary>
    internal static class Text
    {
        private const string Digits = "0123456789abcdef";

        /// <summary>Reads data: hex digits, 41*1000 for many equal bytes, and + between such parts.</summary>
        public static byte[] Bytes(string text)
        {
            var parts = new List<byte[]>();
            foreach (string part in text.Split('+'))
            {
                int star = part.IndexOf('*');
                string digits = star < 0 ? part : part.Substring(0, star);
                var one = new byte[digits.Length / 2];
                for (int at = 0; at < one.Length; at++)
                {
                    one[at] = byte.Parse(digits.Substring(2 * at, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                }

                if (star >= 0)
                {
                    byte repeated = one[0];
                    one = new byte[int.Parse(part.Substring(star + 1), CultureInfo.InvariantCulture)];
                    one.AsSpan().Fill(repeated);
                }

                parts.Add(one);
            }

            return parts.Count == 1 ? parts[0] : parts.SelectMany(part => part).ToArray();
        }

        public static string Hex(ReadOnlyMemory<byte> data)
        {
            var text = new char[data.Length * 2];
            int at = 0;
            foreach (byte one in data.Span)
            {
                text[at++] = Digits[one >> 4];
                text[at++] = Digits[one & 15];
            }

            return new string(text);
        }

        public static RecordAccess Access(string letters) =>
            (letters.Contains("r") ? RecordAccess.Read : RecordAccess.None)
            | (letters.Contains("w") ? RecordAccess.Write : RecordAccess.None)
            | (letters.Contains("t") ? RecordAccess.Takeover : RecordAccess.None);

        public static string Letters(RecordAccess access)
        {
            string letters = ((access & RecordAccess.Read) != 0 ? "r" : "")
                + ((access & RecordAccess.Write) != 0 ? "w" : "") + ((access & RecordAccess.Takeover) != 0 ? "t" : "");
            return letters == "" ? "none" : letters;
        }

        /// <summary>The values of an error (docs/PORTING.md §3).</summary>
        public static Values Of(NetSwapException error) => new Values
        {
            ["error"] = Kinds[error.Kind], ["code"] = error.Code.HasValue ? Codes[error.Code.Value] : null,
            ["detail"] = error.Detail, ["limit"] = error.Limit, ["version"] = error.CurrentVersion,
            ["outcome"] = error.Outcome == RequestOutcome.Unknown ? "unknown" : "not-done",
            ["retryable"] = error.IsRetryable ? "yes" : "no",
        };

        /// <summary>The values of a change (docs/PORTING.md §5).</summary>
        public static Values Of(in RecordChange change)
        {
            var values = new Values { ["change"] = Changes[(int)change.Kind] };
            switch (change.Kind)
            {
                case ChangeKind.Changed:
                case ChangeKind.Resumed:
                    values["version"] = change.Version;
                    values["data"] = change.HasData ? Hex(change.Data) : null;
                    break;
                case ChangeKind.Range:
                    values["version"] = change.Version;
                    values["offset"] = change.Offset;
                    values["data"] = Hex(change.Data);
                    break;
                case ChangeKind.Access:
                    values["access"] = Letters(change.Access);
                    break;
                case ChangeKind.Owner:
                case ChangeKind.OwnershipRequested:
                    values["owner"] = change.Owner;
                    break;
            }

            return values;
        }

        public static Values Of(ConnectionEvent told)
        {
            var values = new Values { ["event"] = told.Kind.ToString().ToLowerInvariant() };
            if (told.Kind == ConnectionEventKind.Reconnecting)
            {
                values["attempt"] = told.Attempt;
            }

            return values;
        }

        private static readonly string[] Changes =
        {
            "changed", "range", "access", "owner", "requested", "interrupted", "resumed", "deleted", "expired", "access-lost",
        };

        private static readonly Dictionary<NetSwapErrorKind, string> Kinds = new Dictionary<NetSwapErrorKind, string>
        {
            [NetSwapErrorKind.Refused] = "refused", [NetSwapErrorKind.Aborted] = "aborted",
            [NetSwapErrorKind.TimedOut] = "timed-out", [NetSwapErrorKind.ConnectionLost] = "connection-lost",
            [NetSwapErrorKind.Connect] = "connect", [NetSwapErrorKind.Protocol] = "protocol",
            [NetSwapErrorKind.Limit] = "limit", [NetSwapErrorKind.Stream] = "io", [NetSwapErrorKind.Closed] = "closed",
            [NetSwapErrorKind.Ended] = "ended",
        };

        private static readonly Dictionary<RefusalCode, string> Codes = new Dictionary<RefusalCode, string>
        {
            [RefusalCode.AccessViolation] = "ACCESS_VIOLATION", [RefusalCode.AddressFault] = "ADDRESS_FAULT",
            [RefusalCode.MalformedPacket] = "MALFORMED_PACKET", [RefusalCode.InvalidRequest] = "INVALID_REQUEST",
            [RefusalCode.UnsupportedOperation] = "UNSUPPORTED_OP", [RefusalCode.RecordTooLarge] = "RECORD_TOO_LARGE",
            [RefusalCode.QuotaExceeded] = "QUOTA_EXCEEDED", [RefusalCode.VersionMismatch] = "VERSION_MISMATCH",
        };
    }
}
