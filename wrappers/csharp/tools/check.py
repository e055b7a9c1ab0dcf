"""Checks all of the C# client, on Mono and on .NET 8, with the server that NETSWAP_BIN names and the conformance suite that
NETSWAP_CONFORMANCE names. Installs the tools that it needs into a cache outside of the tree.

With `--bench` it compiles, and measures what small calls allocate, instead.

The last line sums up: `csharp: N tests passed, M failed; conformance: N passed, M failed`. The exit code is 0 if nothing
failed, 1 if something did, and 2 if something is missing that has to be installed first.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import packages
from build import HERE, Build
from toolchain import Missing, Tools

ROOT = HERE.parent.parent

# What the quick start of the README prints, and what the example does.
QUICK_START = ["3000000 bytes", "Changed, version 1: 3000000 bytes of 3000000", "Range, version 2: 1 bytes of 3000001"]
HANDOVER = [
    "host: a level of 2000000 bytes on the server, 17 bytes for who joins", "player 1: has the level: True",
    "player 2: has the level: True", "player 3: has the level: True", "everybody sees: 10 10 10", "the host leaves",
    "hosts now: 1", "records that it owns: 2", "everybody sees: 20 20 20", "player 4: has the level: True", "done",
]


class Counts:
    """What passed and what failed."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def one(self, what, problem):
        """Counts a check, which passed if there is no problem."""
        if problem:
            self.failed += 1
            print(f"FAILED {what}:\n{problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {what}", flush=True)

    def line(self, what, text):
        """Counts what a program's line tells, `N passed, M failed`; a program that tells nothing has failed."""
        found = re.search(r"(\d+) passed, (\d+) failed(.*)", text or "")
        if not found:
            self.one(what, "it ended without telling how it went")
            return
        self.passed += int(found[1])
        self.failed += int(found[2])
        print(f"{what}: {found[0]}", flush=True)


def environment(name):
    path = os.environ.get(name, "")
    if not path or not Path(path).exists():
        raise Missing(f"{name} does not name a program: {path or 'it is not set'}")
    return str(Path(path).resolve())


def run(command, seconds, **more):
    """Runs a program; gives its exit code and what it said. One that takes too long is ended, and has failed."""
    try:
        done = subprocess.run(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=seconds,
            check=False, **more)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or ""
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        return None, said + f"\nit was ended after {seconds} s"


class Server:
    """A server for the programs that do not start one."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.address = self.process.stdout.readline().split()[-1]

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def readme(word):
    """The code of the README that begins with this remark."""
    text = (HERE / "README.md").read_text()
    return re.search(rf"```csharp\n(// {word}\n.*?)```", text, re.S)[1]


def build(tools, folder):
    made = Build(tools, folder)
    made.library()
    made.program("Driver", HERE / "driver", HERE / "tools" / "shared")
    made.program("NetSwap.Tests", HERE / "tests", HERE / "tools" / "runner", HERE / "tools" / "shared", nunit=True)
    made.program("Handover", HERE / "examples" / "Handover")
    for word in ("quick-start", "unity"):
        (folder / "readme" / word).mkdir(parents=True, exist_ok=True)
        code = readme(word)
        if word == "quick-start":
            code = code.replace('"127.0.0.1:7420"', "args[0]")
        (folder / "readme" / word / "Program.cs").write_text("#nullable enable\n" + code)
    made.program("QuickStart", folder / "readme" / "quick-start")
    made.unity("the sample for Unity", HERE / "unity" / "Samples~")
    made.unity("the README's code for Unity", folder / "readme" / "unity")
    made.bench("Allocations", HERE / "bench")
    if not made.run():
        raise SystemExit("csharp: it does not compile")
    made.place()
    return made


def lines_of(made, where, name, expected, server):
    """What is wrong with what a program prints."""
    with Server(server) as address:
        command = [*made.command(where, name), address]
        code, said = run(command, 60)
    got = [line.rstrip() for line in said.splitlines() if line.strip()]
    if where == "mono" and code is None and got[:len(expected)] == expected:
        return None  # Mono 6.8 does not always end by itself.
    return None if code == 0 and got == expected else f"exit code {code}, and it said:\n{said}"


def bench(tools, server):
    """What small calls allocate, on .NET 8."""
    with tempfile.TemporaryDirectory(prefix="netswap-csharp-") as folder, Server(server) as address:
        return subprocess.run([*build(tools, Path(folder)).command("dotnet", "Allocations"), address], check=False).returncode


def main():
    started = time.monotonic()
    tests, suite = Counts(), Counts()
    try:
        server = environment("NETSWAP_BIN")
        conformance = "" if "--bench" in sys.argv else environment("NETSWAP_CONFORMANCE")
        tools = Tools()
    except Missing as missing:
        print(f"csharp: {missing}")
        return 2
    if "--bench" in sys.argv:
        return bench(tools, server)
    tests.one("the packages have the same sources, and metas", "\n".join(packages.check()))
    with tempfile.TemporaryDirectory(prefix="netswap-csharp-") as folder:
        made = build(tools, Path(folder))
        told = {**os.environ, "NETSWAP_BIN": server, "NETSWAP_ROOT": str(ROOT)}
        for where in ("mono", "dotnet", "net8.0"):
            _, said = run(made.command(where, "NetSwap.Tests"), 180, env=told)
            print(said, end="" if said.endswith("\n") else "\n")
            tests.line(f"NUnit, {made.title(where)}", said.strip().splitlines()[-1] if said.strip() else "")
        for where in ("mono", "dotnet"):
            tests.one(f"quick start, {made.title(where)}",
                      lines_of(made, where, "QuickStart", QUICK_START, server))
            tests.one(f"example, {made.title(where)}", lines_of(made, where, "Handover", HANDOVER, server))
        for where in ("mono", "dotnet"):
            command = [conformance, "--cases", str(ROOT / "conformance" / "client"), "--client",
                       " ".join(made.command(where, "Driver"))]
            code, said = run(command, 400)
            lines = said.strip().splitlines()
            print("\n".join(lines[:-2]))
            suite.line(f"conformance, {made.title(where)}", lines[-2] if code in (0, 1) and len(lines) > 1 else "")
    print(f"{time.monotonic() - started:.0f} s")
    print(f"csharp: {tests.passed} tests passed, {tests.failed} failed; "
          f"conformance: {suite.passed} passed, {suite.failed} failed")
    return 1 if tests.failed or suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
