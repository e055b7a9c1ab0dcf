"""What is compiled of what, with which references: both gates, the DLL of users, and all programs on both runtimes."""

import json
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


class Build:
    """The outputs, in a folder outside of the tree: `mono`, `net8.0` and `netstandard2.1`."""

    def __init__(self, tools, folder):
        self.tools = tools
        self.folder = folder
        self.jobs = []
        for name in ("gate", "mono", "net8.0", "netstandard2.1", "unity"):
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
        net8 = self.folder / "net8.0" / "NetSwap.dll"
        self.compile("NetSwap against Mono's libraries, C# 9", "library", gate, files, self.mono_references(),
                     STANDARD, f"-doc:{standard.with_suffix('.xml')}")
        self.jobs.append({"what": "NetSwap for netstandard2.1", "from": str(gate), "to": str(standard)})
        self.compile("NetSwap against .NET 8", "library", net8, files, self.net8_references(), NET8,
                     f"-doc:{net8.with_suffix('.xml')}")
        self.standard = str(standard)

    def program(self, name, *folders, nunit=False, files=None):
        """A program over the netstandard2.1 DLL, built for both runtimes."""
        files = files or sources(*folders)
        others = [self.standard, *([str(self.tools.nunit)] if nunit else [])]
        for where, references, define in (("mono", self.mono_references(), STANDARD), ("net8.0", self.net8_references(), NET8)):
            suffix = ".exe" if where == "mono" else ".dll"
            output = self.folder / where / (name + suffix)
            self.compile(f"{name} for {where}", "exe", output, files, [*references, *others], define,
                         "-nowarn:CS1701,CS1702")

    def run(self):
        """Compiles. Tells whether everything did, without a warning."""
        told = {
            "jobs": self.jobs, "roslyn": str(self.tools.roslyn), "cecil": str(self.tools.cecil),
            "dotnet_root": str(self.tools.dotnet_root), "runtimeconfig": str(self.tools.runtimeconfig(self.folder)),
        }
        command = [str(self.tools.python), str(HERE / "tools" / "compile.py")]
        return subprocess.run(command, input=json.dumps(told), text=True, check=False).returncode == 0

    def command(self, where, name):
        """How to start a program. Both find the netstandard2.1 DLL, and no other."""
        if where == "mono":
            return [self.tools.mono, str(self.folder / "mono" / (name + ".exe"))]
        return [str(self.tools.dotnet), "exec", "--runtimeconfig", str(self.folder / "netswap.runtimeconfig.json"),
                str(self.folder / "net8.0" / (name + ".dll"))]
