using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;
using NetSwap.Tools;

namespace NetSwap.Tests
{
    /// <summary>Runs the tests of this assembly, says which failed, and sums up. Words of names choose tests.</summary>
    internal static class Runner
    {
        private static int Main(string[] words)
        {
            var runner = new NUnitTestAssemblyRunner(new DefaultTestAssemblyBuilder());
            runner.Load(Assembly.GetExecutingAssembly(), new Dictionary<string, object>());
            ITestResult result = runner.Run(new Listener(Console.Out), new Chosen(words));
            Console.WriteLine($"{result.PassCount} passed, {result.FailCount} failed");
            int code = result.PassCount > 0 && result.FailCount == 0 ? 0 : 1;

            // Threads of tests that hang do not keep the program alive.
            Exit.With(code);
            return code;
        }

        private sealed class Listener : ITestListener
        {
            // While a test runs, the console is its own.
            private readonly TextWriter console;

            public Listener(TextWriter console)
            {
                this.console = TextWriter.Synchronized(console);
            }

            public void TestStarted(ITest test)
            {
            }

            public void TestFinished(ITestResult result)
            {
                bool failed = result.ResultState.Status == TestStatus.Failed
                    && result.ResultState.Site != FailureSite.Child;
                bool shown = !result.Test.IsSuite && Environment.GetEnvironmentVariable("NETSWAP_VERBOSE") == "1";
                if (failed || shown)
                {
                    console.WriteLine($"{(failed ? "FAILED" : "ok")} {result.FullName} ({result.Duration:0.0} s)");
                }

                if (failed)
                {
                    console.WriteLine("  " + result.Message + "\n" + result.StackTrace);
                }
            }

            public void TestOutput(TestOutput output)
            {
            }

            public void SendMessage(TestMessage message)
            {
            }
        }

        private sealed class Chosen : TestFilter
        {
            private readonly string[] words;

            public Chosen(string[] words)
            {
                this.words = words;
            }

            public override bool Match(ITest test) =>
                words.Length == 0 || words.Any(word => test.FullName.Contains(word));

            public override bool Pass(ITest test, bool negated) => Match(test) || test.Tests.Any(one => Pass(one, negated));

            public override bool IsExplicitMatch(ITest test) => false;

            public override TNode AddToXml(TNode parentNode, bool recursive) => parentNode.AddElement("filter");
        }
    }
}
