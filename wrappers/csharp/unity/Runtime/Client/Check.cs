#nullable enable

using System;
using System.IO;
using System.Threading;
using NetSwap.Connections;

namespace NetSwap.Client
{
    /// <summary>Checks of arguments. What they throw names the argument.</summary>
    internal static class Check
    {
        /// <summary>An offset or a length: a number of 32 bits.</summary>
        public static uint U32(long value, string name)
        {
            if (value < 0 || value > uint.MaxValue)
            {
                throw new ArgumentOutOfRangeException(name, value, "must be from 0 to 4294967295");
            }

            return (uint)value;
        }

        /// <summary>A number from so much to so much.</summary>
        public static long Within(long value, long least, long most, string name)
        {
            if (value < least || value > most)
            {
                throw new ArgumentOutOfRangeException(name, value, $"must be from {least} to {most}");
            }

            return value;
        }

        /// <summary>Access bits, of which there are three.</summary>
        public static RecordAccess Access(RecordAccess value, string name)
        {
            if ((value & ~RecordAccess.All) != 0)
            {
                throw new ArgumentOutOfRangeException(name, value, "must be made of Read, Write and Takeover");
            }

            return value;
        }

        /// <summary>Something that must be there.</summary>
        public static T NotNull<T>(T? value, string name)
            where T : class => value ?? throw new ArgumentNullException(name);

        /// <summary>A time above 0, or for ever, in ticks.</summary>
        public static long Time(TimeSpan value, string name)
        {
            if (value == Timeout.InfiniteTimeSpan)
            {
                return Clock.Never;
            }

            if (value <= TimeSpan.Zero)
            {
                throw new ArgumentOutOfRangeException(name, value, "must be above 0, or Timeout.InfiniteTimeSpan");
            }

            return value.Ticks;
        }

        /// <summary>A time in whole seconds, rounded up.</summary>
        public static uint Seconds(TimeSpan value, uint least, uint most, string name)
        {
            long seconds = (value.Ticks / TimeSpan.TicksPerSecond) + (value.Ticks % TimeSpan.TicksPerSecond > 0 ? 1 : 0);
            if (value < TimeSpan.Zero || seconds < least || seconds > most)
            {
                throw new ArgumentOutOfRangeException(name, value, $"must be from {least} to {most} seconds");
            }

            return (uint)seconds;
        }

        /// <summary>A stream to read, and how many bytes of it are meant: the rest of it, where that is not said.</summary>
        public static long Source(Stream? source, long? length)
        {
            if (!NotNull(source, nameof(source)).CanRead)
            {
                throw new ArgumentException("the stream cannot be read", nameof(source));
            }

            if (length.HasValue)
            {
                return U32(length.Value, nameof(length));
            }

            if (!source!.CanSeek)
            {
                throw new ArgumentNullException(nameof(length), "the stream does not know its length");
            }

            return U32(Math.Max(0, source.Length - source.Position), nameof(length));
        }

        /// <summary>A stream to write.</summary>
        public static Stream Destination(Stream? destination)
        {
            if (!NotNull(destination, nameof(destination)).CanWrite)
            {
                throw new ArgumentException("the stream cannot be written", nameof(destination));
            }

            return destination!;
        }
    }
}
