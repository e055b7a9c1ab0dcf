#nullable enable

namespace NetSwap.Wire
{
    /// <summary>The reply codes (docs/PROTOCOL.md §4.1). Those of refusals are public as <see cref="RefusalCode"/>.</summary>
    internal enum ReplyCode : byte
    {
        Ok = 0,
        AccessViolation = 1,
        AddressFault = 2,
        Resolved = 3,
        MalformedPacket = 4,
        InvalidRequest = 5,
        UnsupportedOperation = 6,
        RecordTooLarge = 7,
        QuotaExceeded = 8,
        VersionMismatch = 9,
        NotModified = 10,
        Notify = 11,
        Abort = 255,
    }
}
