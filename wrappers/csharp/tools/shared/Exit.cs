using System;
using System.Runtime.InteropServices;

namespace NetSwap.Tools
{
    /// <summary>Ends programs.</summary>
    internal static class Exit
    {
        /// <summary>Ends this program at once. Mono 6.8 does not always end by itself while its thread pool is at work.</summary>
        public static void With(int code)
        {
            Console.Out.Flush();
            Console.Error.Flush();
            if (Type.GetType("Mono.Runtime") != null)
            {
                EndProcess(code);
            }

            Environment.Exit(code);
        }

        [DllImport("libc", EntryPoint = "_exit")]
        private static extern void EndProcess(int code);
    }
}
