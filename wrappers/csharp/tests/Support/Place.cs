#nullable enable

using System;
using System.IO;
using System.Threading.Tasks;

namespace NetSwap.Tests
{
    /// <summary>Where things are, and waiting for them.</summary>
    internal static class Place
    {
        /// <summary>The folder of the project: NETSWAP_ROOT, or the one above the tests that has the suite.</summary>
        public static string Root
        {
            get
            {
                string? named = Environment.GetEnvironmentVariable("NETSWAP_ROOT");
                for (string? at = named ?? AppDomain.CurrentDomain.BaseDirectory; at != null; at = Path.GetDirectoryName(at))
                {
                    if (Directory.Exists(Path.Combine(at, "conformance", "server")))
                    {
                        return at;
                    }
                }

                throw new InvalidOperationException("the project is not above the tests: name it with NETSWAP_ROOT");
            }
        }

        /// <summary>The program `netswap`: NETSWAP_BIN, or what cargo has built.</summary>
        public static string Program
        {
            get
            {
                string? named = Environment.GetEnvironmentVariable("NETSWAP_BIN");
                if (!string.IsNullOrEmpty(named))
                {
                    return File.Exists(named) ? named! : throw new InvalidOperationException("no netswap at " + named);
                }

                foreach (string build in new[] { "release", "debug" })
                {
                    string path = Path.Combine(Root, "target", build, "netswap");
                    if (File.Exists(path))
                    {
                        return path;
                    }
                }

                throw new InvalidOperationException("no netswap: build it with cargo, or name it with NETSWAP_BIN");
            }
        }

        /// <summary>Waits until something is so, for 10 s at most.</summary>
        public static async Task UntilAsync(Func<bool> isSo)
        {
            DateTime by = DateTime.UtcNow.AddSeconds(10);
            while (!isSo())
            {
                if (DateTime.UtcNow > by)
                {
                    throw new TimeoutException("it is not so within 10 s");
                }

                await Task.Delay(5).ConfigureAwait(false);
            }
        }

        /// <summary>Awaits something, for 20 s at most.</summary>
        public static async Task<T> InTimeAsync<T>(Task<T> task)
        {
            if (await Task.WhenAny(task, Task.Delay(20_000)).ConfigureAwait(false) != task)
            {
                throw new TimeoutException("it does not end within 20 s");
            }

            return await task.ConfigureAwait(false);
        }

        /// <summary>The error that a call fails with.</summary>
        public static async Task<TError> FailsAsync<TError>(Func<Task> call)
            where TError : Exception
        {
            Task task = call();
            if (await Task.WhenAny(task, Task.Delay(20_000)).ConfigureAwait(false) != task)
            {
                throw new TimeoutException("it does not end within 20 s");
            }

            try
            {
                await task.ConfigureAwait(false);
            }
            catch (TError error)
            {
                return error;
            }

            throw new InvalidOperationException("it did not fail");
        }

        /// <summary>The error that a call fails with.</summary>
        public static Task<NetSwapException> RefusedAsync(Func<Task> call) => FailsAsync<NetSwapException>(call);
    }
}
