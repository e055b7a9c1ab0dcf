#nullable enable

using System;
using System.Net.Sockets;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;

namespace NetSwap.Client
{
    /// <summary>
    /// Receives or sends, again and again, one at a time, without allocating. (Mono's own methods that take a Memory receive
    /// into a copy of it.)
    /// </summary>
    internal sealed class SocketOperation : SocketAsyncEventArgs, IValueTaskSource<int>
    {
        private readonly Socket socket;
        private ManualResetValueTaskSourceCore<int> core;

        public SocketOperation(Socket socket)
        {
            this.socket = socket;
        }

        /// <summary>Receives at least a byte, or none at the end.</summary>
        public ValueTask<int> ReceiveAsync(byte[] buffer)
        {
            core.Reset();
            SetBuffer(buffer, 0, buffer.Length);
            return Result(socket.ReceiveAsync(this));
        }

        /// <summary>Sends at least a byte.</summary>
        public ValueTask<int> SendAsync(byte[] buffer, int offset, int count)
        {
            core.Reset();
            SetBuffer(buffer, offset, count);
            return Result(socket.SendAsync(this));
        }

        int IValueTaskSource<int>.GetResult(short token) => core.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => core.GetStatus(token);

        void IValueTaskSource<int>.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            core.OnCompleted(continuation, state, token, flags);

        /// <summary>It has ended, on a thread of the pool.</summary>
        protected override void OnCompleted(SocketAsyncEventArgs e)
        {
            if (SocketError == SocketError.Success)
            {
                core.SetResult(BytesTransferred);
            }
            else
            {
                core.SetException(new SocketException((int)SocketError));
            }
        }

        private ValueTask<int> Result(bool isPending)
        {
            if (isPending)
            {
                return new ValueTask<int>(this, core.Version);
            }

            return SocketError == SocketError.Success
                ? new ValueTask<int>(BytesTransferred) : throw new SocketException((int)SocketError);
        }
    }
}
