#nullable enable

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;

namespace NetSwap.Tests
{
    /// <summary>A case of the conformance suite's server files: what each connection sends (`A>`) and receives (`A&lt;`).</summary>
    internal sealed class Transcript
    {
        public Transcript(string title)
        {
            Title = title;
        }

        public string Title { get; }

        public Dictionary<string, List<byte>> Streams { get; } = new Dictionary<string, List<byte>>();

        /// <summary>All cases of all files.</summary>
        public static List<Transcript> All()
        {
            var all = new List<Transcript>();
            string folder = Path.Combine(Place.Root, "conformance", "server");
            foreach (string file in Directory.GetFiles(folder, "*.txt").OrderBy(name => name, StringComparer.Ordinal))
            {
                var names = new Dictionary<string, byte[]>();
                foreach (string line in File.ReadLines(file).Skip(1))
                {
                    if (line.StartsWith("case ", StringComparison.Ordinal))
                    {
                        all.Add(new Transcript(line.Substring(5)));
                        names.Clear();
                    }
                    else if (line.Length > 2 && char.IsUpper(line[0]) && (line[1] == '>' || line[1] == '<'))
                    {
                        all[all.Count - 1].Add(line, names);
                    }
                }
            }

            return all;
        }

        private void Add(string line, Dictionary<string, byte[]> names)
        {
            string key = line.Substring(0, 2);
            if (!Streams.TryGetValue(key, out List<byte>? stream))
            {
                Streams[key] = stream = new List<byte>();
            }

            int explained = line.IndexOf(" | ", StringComparison.Ordinal);
            string text = (explained < 0 ? line : line.Substring(0, explained)).Substring(line[2] == '*' ? 3 : 2);
            string[] words = text.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
            int start = stream.Count;
            for (int at = 0; at < words.Length; at++)
            {
                byte[]? echo = key[1] == '<' ? Echo(key[0], stream, start, words[at]) : null;
                byte[] item = Item(words[at], names, echo);
                int times = 1;
                if (at + 2 < words.Length && words[at + 1] == "*")
                {
                    times = int.Parse(words[at + 2], CultureInfo.InvariantCulture);
                    at += 2;
                }

                for (; times > 0; times--)
                {
                    stream.AddRange(item);
                }
            }
        }

        // The data of the PING that a reply answers, where the word binds all of that reply's data.
        private byte[]? Echo(char connection, List<byte> received, int start, string word)
        {
            if (word[0] != '$' || received.Count != start + 10 || !Streams.TryGetValue(connection + ">", out List<byte>? sent))
            {
                return null;
            }

            byte[] ping = received.GetRange(start, 8).Concat(new byte[] { 8, 0 }).ToArray();
            int length = (ping[6] << 8) + ping[7];
            for (int at = 0; at + 10 + length <= sent.Count; at++)
            {
                if (sent[at + 8] == 8 && sent.Skip(at).Take(10).SequenceEqual(ping))
                {
                    return sent.GetRange(at + 10, length).ToArray();
                }
            }

            return null;
        }

        // Bytes that only the server knows are made up, the same under the same name.
        private static byte[] Item(string word, Dictionary<string, byte[]> names, byte[]? echo)
        {
            if (word[0] == '$')
            {
                string[] named = word.Split(':');
                if (named.Length == 2)
                {
                    int length = int.Parse(named[1], CultureInfo.InvariantCulture);
                    names[named[0]] = echo?.Length == length ? echo : Enumerable.Repeat((byte)(names.Count + 1), length).ToArray();
                }

                return names[named[0]];
            }

            if (word[0] == '"')
            {
                return Encoding.ASCII.GetBytes(word.Trim('"'));
            }

            if (word.EndsWith("s", StringComparison.Ordinal))
            {
                uint seconds = uint.Parse(word.TrimEnd('s'), CultureInfo.InvariantCulture);
                return new[] { (byte)(seconds >> 24), (byte)(seconds >> 16), (byte)(seconds >> 8), (byte)seconds };
            }

            return new[] { byte.Parse(word, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) };
        }
    }
}
