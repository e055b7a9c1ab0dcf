#nullable enable

using System;
using System.Buffers.Binary;
using System.Globalization;

namespace NetSwap.Wire
{
    /// <summary>A server's refusal of a request or of a connection, or its word that this client broke the protocol.</summary>
    internal sealed class Refusal
    {
        private const string Broken =
            "the server closed the connection because of a protocol violation by this client: ";

        private static readonly string[] Malformed =
        {
            "a packet does not continue its message",
            "an unknown operation is longer than the largest request",
            "an ABORT has a payload or flags",
            "a request uses the id of an active watch or waiting read",
            "too many refused requests were still being sent",
        };

        private static readonly string[] Invalid =
        {
            "its access byte has bits that the operation does not take",
            "its payload has not the length that the operation takes",
            "a field has a value that it must not have",
        };

        private static readonly string[] Quotas =
        {
            "the server's memory is used up: the limit is {0} bytes",
            "the owner's records have too many bytes: the limit is {0} bytes",
            "the owner has too many records: the limit is {0}",
            "too many requests of this connection are unfinished: the limit is {0}",
            "unfinished requests have too many bytes: the limit is {0} bytes",
            "this connection has too many watches and waiting reads: the limit is {0}",
            "the server has too many connections: the limit is {0}",
            "this address has too many connections: the limit is {0}",
        };

        private Refusal(RefusalCode code, string message, int? detail = null, ulong? limit = null, ulong? version = null)
        {
            Code = code;
            Message = message;
            Detail = detail;
            Limit = limit;
            Version = version;
        }

        public RefusalCode Code { get; }

        /// <summary>A sentence that can be printed as it is (docs/PROTOCOL.md §4.1, §4.2).</summary>
        public string Message { get; }

        public int? Detail { get; }

        public ulong? Limit { get; }

        public ulong? Version { get; }

        /// <summary>How many details a code has: the ACCESS byte is 1 to so many, or 0 where there are none.</summary>
        public static int Details(ReplyCode code)
        {
            switch (code)
            {
                case ReplyCode.MalformedPacket:
                    return Malformed.Length;
                case ReplyCode.InvalidRequest:
                    return Invalid.Length;
                case ReplyCode.QuotaExceeded:
                    return Quotas.Length;
                default:
                    return 0;
            }
        }

        /// <summary>Reads a refusal of which the ACCESS byte and the length fit its code; <c>null</c> where it is none.</summary>
        public static Refusal? Read(Opcode opcode, ReplyCode code, byte access, ReadOnlySpan<byte> payload)
        {
            var name = (RefusalCode)code;
            switch (code)
            {
                case ReplyCode.AccessViolation:
                    return new Refusal(name, "the record's owner does not allow this to others");
                case ReplyCode.AddressFault:
                    string bytes = opcode == Opcode.FetchAdd ? ", or it does not have 8 bytes at this offset" : "";
                    return new Refusal(name, "there is no record at this pointer" + bytes);
                case ReplyCode.MalformedPacket:
                    return new Refusal(name, Broken + Malformed[access - 1], access);
                case ReplyCode.InvalidRequest:
                    return new Refusal(name, "the request is not valid: " + Invalid[access - 1], access);
                case ReplyCode.UnsupportedOperation:
                    return new Refusal(name, "the server does not support this operation");
                case ReplyCode.RecordTooLarge:
                    ulong longest = BinaryPrimitives.ReadUInt32BigEndian(payload);
                    string tooLarge = With("the data are larger than the server's limit of {0} bytes a record", longest);
                    return new Refusal(name, tooLarge, limit: longest);
                case ReplyCode.QuotaExceeded:
                    ulong limit = BinaryPrimitives.ReadUInt64BigEndian(payload);
                    return new Refusal(name, With(Quotas[access - 1], limit), access, limit);
                case ReplyCode.VersionMismatch:
                    ulong version = BinaryPrimitives.ReadUInt64BigEndian(payload);
                    return new Refusal(name, With("the record has changed: its version is now {0}", version), version: version);
                default:
                    return null;
            }
        }

        private static string With(string sentence, ulong number) =>
            string.Format(CultureInfo.InvariantCulture, sentence, number);
    }
}
