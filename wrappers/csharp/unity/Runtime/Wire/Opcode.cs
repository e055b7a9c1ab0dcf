#nullable enable

namespace NetSwap.Wire
{
    /// <summary>The operations (docs/PROTOCOL.md §3.1).</summary>
    internal enum Opcode : byte
    {
        CreateRecord = 0,
        UpdateRecordPermissions = 1,
        ResolvePointer = 2,
        ReplaceRecord = 3,
        DeleteRecord = 4,
        TakeoverRecord = 5,
        TransferRecord = 6,
        Identify = 7,
        Ping = 8,
        StatRecord = 9,
        ReadRange = 10,
        WriteRange = 11,
        Append = 12,
        CompareAndReplace = 13,
        FetchAdd = 14,
        ResolveIfChanged = 15,
        WatchRecord = 16,
        ListRecords = 17,
        ReserveRecord = 18,
        SetLifetime = 19,
        RequestOwnership = 20,
        Abort = 255,
    }

    internal static class Opcodes
    {
        /// <summary>Whether an operation changes nothing: without an answer it can be repeated (docs/PORTING.md §3).</summary>
        public static bool OnlyReads(Opcode opcode)
        {
            switch (opcode)
            {
                case Opcode.ResolvePointer:
                case Opcode.ResolveIfChanged:
                case Opcode.ReadRange:
                case Opcode.StatRecord:
                case Opcode.Identify:
                case Opcode.Ping:
                case Opcode.ListRecords:
                case Opcode.WatchRecord:
                    return true;
                default:
                    return false;
            }
        }
    }
}
