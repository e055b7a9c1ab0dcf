#nullable enable

namespace NetSwap.Wire
{
    /// <summary>Which replies can answer an operation, as far as their headers tell (docs/PROTOCOL.md §4.1, §8.1).</summary>
    internal static class ReplyRules
    {
        // The lengths of OK by operation; those that are answered with RESOLVED have none, and PING has its own.
        private static readonly Lengths[] Ok =
        {
            Lengths.Exactly(8), Lengths.Exactly(0), Lengths.None, Lengths.Exactly(8), Lengths.Exactly(0),
            Lengths.Exactly(0), Lengths.Exactly(0), Lengths.Exactly(20), Lengths.None, Lengths.Exactly(26),
            Lengths.None, Lengths.Exactly(8), Lengths.Exactly(12), Lengths.Exactly(8), Lengths.Exactly(16),
            Lengths.None, Lengths.Exactly(8), Lengths.AtLeast(0, 8), Lengths.Exactly(8), Lengths.Exactly(0),
            Lengths.Exactly(0),
        };

        /// <summary>
        /// The lengths that a reply of this code and ACCESS byte may have to an operation whose payload has
        /// <paramref name="payload"/> bytes.
        /// </summary>
        public static Lengths Of(Opcode opcode, ReplyCode code, byte access, long payload)
        {
            if (code == ReplyCode.Ok)
            {
                if (access != 0)
                {
                    return Lengths.None;
                }

                return opcode == Opcode.Ping ? Lengths.Exactly(payload) : Ok[(int)opcode];
            }

            if (code == ReplyCode.Resolved)
            {
                return OfResolved(opcode, access);
            }

            int most = Refusal.Details(code);
            if (most == 0 ? access != 0 : access < 1 || access > most)
            {
                return Lengths.None;
            }

            switch (code)
            {
                case ReplyCode.AccessViolation:
                case ReplyCode.AddressFault:
                case ReplyCode.MalformedPacket:
                case ReplyCode.InvalidRequest:
                case ReplyCode.UnsupportedOperation:
                    return Lengths.Exactly(0);
                case ReplyCode.RecordTooLarge:
                    return Lengths.Exactly(4);
                case ReplyCode.QuotaExceeded:
                    return Lengths.Exactly(8);
                case ReplyCode.VersionMismatch:
                    return opcode == Opcode.CompareAndReplace ? Lengths.Exactly(8) : Lengths.None;
                case ReplyCode.NotModified:
                    return opcode == Opcode.ResolveIfChanged ? Lengths.Exactly(0) : Lengths.None;
                default:
                    return Lengths.None;
            }
        }

        /// <summary>The lengths that a notification of this kind may have (docs/PROTOCOL.md §4.3).</summary>
        public static Lengths OfNotification(byte kind, bool push)
        {
            switch (kind)
            {
                case 1:
                    return push ? Lengths.AtLeast(8) : Lengths.Exactly(8);
                case 2:
                    return push ? Lengths.AtLeast(12) : Lengths.None;
                case 3:
                    return Lengths.Exactly(1);
                case 4:
                case 5:
                    return Lengths.Exactly(8);
                default:
                    return IsFinal(kind) ? Lengths.Exactly(0) : Lengths.None;
            }
        }

        /// <summary>Whether a kind of notification is a watch's last.</summary>
        public static bool IsFinal(byte kind) => kind >= 16 && kind <= 18;

        private static Lengths OfResolved(Opcode opcode, byte access)
        {
            switch (opcode)
            {
                case Opcode.ResolvePointer:
                    return access == 0 ? Lengths.AtLeast(0) : Lengths.None;
                case Opcode.ResolveIfChanged:
                    return access == 1 ? Lengths.AtLeast(8) : Lengths.None;
                case Opcode.ReadRange:
                    return access == 3 ? Lengths.AtLeast(12) : Lengths.None;
                default:
                    return Lengths.None;
            }
        }
    }
}
