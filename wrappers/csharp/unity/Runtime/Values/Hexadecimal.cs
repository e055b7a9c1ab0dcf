#nullable enable

using System;
using System.Globalization;

namespace NetSwap
{
    /// <summary>Numbers of 64 bits as 16 hexadecimal digits (docs/PROTOCOL.md §1.4).</summary>
    internal static class Hexadecimal
    {
        public static string Format(ulong value) => value.ToString("x16", CultureInfo.InvariantCulture);

        public static bool TryParse(string? text, out ulong value)
        {
            value = 0;
            if (text == null || text.Length != 16)
            {
                return false;
            }

            foreach (char digit in text)
            {
                int half = digit >= '0' && digit <= '9' ? digit - '0'
                    : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                    : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
                if (half < 0)
                {
                    return false;
                }

                value = (value << 4) | (uint)half;
            }

            return true;
        }
    }
}
