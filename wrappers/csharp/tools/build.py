"""What is compiled of what, with which references: both gates, the DLL of users, and all programs on both runtimes."""

import json
import shutil
import subprocess
from pathlib import Path

from toolchain import MONO_LIBRARIES

HERE = Path(__file__).resolve().parent.parent
COMMON = [
    "-nologo", "-langversion:9", "-nullable:enable", "-warnaserror+", "-warn:4", "-deterministic+", "-optimize+",
    "-nostdlib+", "-checked-",
]

# The symbols that the SDK defines for net8.0, as far as they could matter.
NET8 = "-define:NET,NET8_0,NET8_0_OR_GREATER,NETCOREAPP"
STANDARD = "-define:NETSTANDARD,NETSTANDARD2_1,NETSTANDARD2_1_OR_GREATER"


def sources(*folders):
    """All C# files in these folders, in a fixed order."""
    found = [path for folder in folders for path in Path(folder).rglob("*.cs")]
    return sorted(str(path) for path in found)


# Where programs are put, with which of the two DLLs beside them, and how that is called.
PLACES = {
    "mono": ("netstandard2.1", "the netstandard2.1 DLL on Mono"),
    "dotnet": ("netstandard2.1", "the netstandard2.1 DLL on .NET 8"),
    "net8.0": ("net8", "the net8.0 DLL on .NET 8"),
}


class Build:
    """Compiles into a folder outside of the tree."""

    def __init__(self, tools, folder):
        self.tools = tools
        self.folder = folder
        self.jobs = []
        for name in ("gate", "netstandard2.1", "net8", *PLACES):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def mono_references(self):
        names = ["mscorlib.dll", "System.dll", "System.Core.dll", "Facades/netstandard.dll"]
        return [str(MONO_LIBRARIES / name) for name in names]

    def net8_references(self):
        native = ("System.Private.", "Microsoft.VisualBasic", "mscorlib", "WindowsBase")
        found = []
        for path in sorted(self.tools.framework.glob("*.dll")):
            if path.name.startswith(("System.", "netstandard", "Microsoft.Win32")) and not path.name.startswith(native):
                if not path.name.endswith(".Native.dll"):
                    found.append(str(path))
        found.append(str(self.tools.framework / "System.Private.CoreLib.dll"))
        return found

    def compile(self, what, target, output, files, references, *more):
        arguments = [*COMMON, f"-target:{target}", f"-out:{output}", *more]
        arguments += [f"-reference:{one}" for one in references]
        self.jobs.append({"what": what, "arguments": [*arguments, *files]})

    def library(self):
        """Both gates, and the DLL that users of netstandard2.1 get."""
        files = sources(HERE / "unity" / "Runtime")
        gate = self.folder / "gate" / "NetSwap.dll"
        standard = self.folder / "netstandard2.1" / "NetSwap.dll"
        net8 = self.folder / "net8" / "NetSwap.dll"
        self.compile("NetSwap against Mono's libraries, C# 9", "library", gate, files, self.mono_references(),
                     STANDARD, f"-doc:{standard.with_suffix('.xml')}")
        self.jobs.append({"what": "NetSwap for netstandard2.1", "from": str(gate), "to": str(standard)})
        self.compile("NetSwap against .NET 8", "library", net8, files, self.net8_references(), NET8,
                     f"-doc:{net8.with_suffix('.xml')}")
        self.standard = str(standard)

    def program(self, name, *folders, nunit=False):
        """A program over the netstandard2.1 DLL, built for both runtimes."""
        others = [self.standard, *([str(self.tools.nunit)] if nunit else [])]
        self.compile(f"{name} for Mono", "exe", self.folder / "mono" / (name + ".exe"), sources(*folders),
                     [*self.mono_references(), *others], STANDARD, "-nowarn:CS1701,CS1702")
        self.compile(f"{name} for .NET 8", "exe", self.folder / "dotnet" / (name + ".dll"), sources(*folders),
                     [*self.net8_references(), *others], NET8, "-nowarn:CS1701,CS1702")

    def unity(self, what, folder):
        """Scripts for Unity, with what they use of it."""
        stub = HERE / "tools" / "unity-stub"
        self.compile(what, "library", self.folder / "gate" / "Scripts.dll", sources(folder, stub),
                     [*self.mono_references(), self.standard], STANDARD, "-nowarn:CS0649,CS1701,CS1702")

    def bench(self, name, folder):
        """A program for .NET 8 alone."""
        self.compile(name, "exe", self.folder / "dotnet" / (name + ".dll"), sources(folder),
                     [*self.net8_references(), self.standard], NET8, "-nowarn:CS1701,CS1702")

    def place(self):
        """Puts the DLLs beside the programs."""
        for program in (self.folder / "dotnet").glob("*.dll"):
            shutil.copy(program, self.folder / "net8.0")
        for where, (library, _) in PLACES.items():
            shutil.copy(self.folder / library / "NetSwap.dll", self.folder / where)
            shutil.copy(self.tools.nunit, self.folder / where)

    def run(self):
        """Compiles. Tells whether everything did, without a warning."""
        told = {
            "jobs": self.jobs, "roslyn": str(self.tools.roslyn), "cecil": str(self.tools.cecil),
            "dotnet_root": str(self.tools.dotnet_root), "runtimeconfig": str(self.tools.runtimeconfig(self.folder)),
        }
        command = [str(self.tools.python), str(HERE / "tools" / "compile.py")]
        return subprocess.run(command, input=json.dumps(told), text=True, check=False).returncode == 0

    @staticmethod
    def title(where):
        return PLACES[where][1]

    def command(self, where, name):
        """How to start a program."""
        if where == "mono":
            return [self.tools.mono, str(self.folder / where / (name + ".exe"))]
        return [str(self.tools.dotnet), "exec", "--runtimeconfig", str(self.folder / "netswap.runtimeconfig.json"),
                str(self.folder / where / (name + ".dll"))]
