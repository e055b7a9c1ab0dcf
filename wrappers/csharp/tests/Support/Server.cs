#nullable enable

using System;
using System.Diagnostics;
using System.Threading.Tasks;

namespace NetSwap.Tests
{
    /// <summary>A real server, until it is disposed of.</summary>
    internal sealed class Server : IDisposable
    {
        private readonly Process process;

        private Server(Process process, string address)
        {
            this.process = process;
            Address = address;
        }

        public string Address { get; }

        /// <summary>Starts `netswap serve` with these arguments, on a free port unless they name one.</summary>
        public static Server Start(string arguments = "")
        {
            string listen = arguments.Contains("--listen") ? "" : "--listen 127.0.0.1:0 ";
            var info = new ProcessStartInfo(Place.Program, "serve " + listen + arguments)
            {
                RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
            };
            Process process = Process.Start(info)!;
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            string? line = process.StandardOutput.ReadLine();
            int at = line == null ? -1 : line.IndexOf("listening on ", StringComparison.Ordinal);
            if (at < 0)
            {
                throw new InvalidOperationException("the server did not start: " + line);
            }

            return new Server(process, line!.Substring(at + "listening on ".Length).Trim());
        }

        /// <summary>Kills it at once.</summary>
        public void Dispose()
        {
            if (!process.HasExited)
            {
                process.Kill();
            }

            process.WaitForExit(5000);
            process.Dispose();
        }

        /// <summary>Stops it in order.</summary>
        public async Task StopAsync()
        {
            Process.Start(new ProcessStartInfo("kill", "-TERM " + process.Id) { UseShellExecute = false })!.WaitForExit();
            await Place.UntilAsync(() => process.HasExited).ConfigureAwait(false);
        }
    }
}
