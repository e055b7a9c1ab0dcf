using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace NetSwap.Conformance
{
    /// <summary>A call that the suite asks for: its values, and what goes on of it after it has returned.</summary>
    internal sealed class Command
    {
        private readonly Dictionary<string, string> values = new Dictionary<string, string>();

        public Command(string number, IEnumerable<string> words)
        {
            Number = number;
            foreach (string word in words)
            {
                int equals = word.IndexOf('=');
                values[word.Substring(0, equals)] = word.Substring(equals + 1);
            }
        }

        public string Number { get; }

        public CancellationTokenSource Giving { get; } = new CancellationTokenSource();

        public CancellationToken Token => Giving.Token;

        public bool IsCanceled { get; set; }

        /// <summary>Gets the next change or event; nothing after the last.</summary>
        public Func<Task<Values?>>? Next { get; set; }

        /// <summary>Ends when what was asked for so far was told.</summary>
        public Task Takes { get; set; } = Task.CompletedTask;

        public NetworkPointer Pointer => NetworkPointer.Parse(Value("pointer"));

        public ReadOnlyMemory<byte> Data => Text.Bytes(Value("data"));

        public Stream Source => new MemoryStream(Text.Bytes(Value("data")));

        public RecordAccess Access => Text.Access(Value("access"));

        public ulong Version => Find("version") == null ? 0 : ulong.Parse(Value("version"), CultureInfo.InvariantCulture);

        public long Offset => Number64("offset");

        public long? Length => Find("length") == null ? (long?)null : Number64("length");

        public OwnerHash? Heir => Value("heir") == "none" ? (OwnerHash?)null : OwnerHash.Parse(Value("heir"));

        public string? Find(string key) => values.TryGetValue(key, out string? value) ? value : null;

        public string Value(string key) => Find(key) ?? throw new ArgumentException("there is no " + key);

        public long Number64(string key) => long.Parse(Value(key), CultureInfo.InvariantCulture);

        public TimeSpan? Time(string key) =>
            Find(key) == null ? (TimeSpan?)null : TimeSpan.FromMilliseconds(Number64(key));

        public TimeSpan? Seconds(string key) =>
            long.TryParse(Value(key), out long seconds) ? TimeSpan.FromSeconds(seconds) : (TimeSpan?)null;

        /// <summary>Tells how far an upload is.</summary>
        public IProgress<long> Progress()
        {
            long total = Length ?? Data.Length;
            return new Hearer(done => Driver.Tell(this, "progress", new Values { ["done"] = done, ["total"] = total }));
        }

        /// <summary>Tells the next change or event.</summary>
        public async Task Take()
        {
            try
            {
                Values? told = await Next!();
                Driver.Tell(this, told == null ? "ends" : "tells", told ?? new Values());
            }
            catch (Exception error)
            {
                Driver.Failed(this, error);
            }
        }
    }

    /// <summary>Progress that is heard at once, and not in some context.</summary>
    internal sealed class Hearer : IProgress<long>
    {
        private readonly Action<long> hear;

        public Hearer(Action<long> hear)
        {
            this.hear = hear;
        }

        public void Report(long value) => hear(value);
    }
}
