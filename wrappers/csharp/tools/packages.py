"""Judges the project as users consume it: that .csproj, Unity package and build have the same sources, and Unity's metas.

With `--write`, makes the metas that are missing. Their GUIDs are made of the paths, and stay.
"""

import hashlib
import json
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

from build import HERE, sources

IMPORTERS = {
    ".cs": ("MonoImporter", "  externalObjects: {}\n  serializedVersion: 2\n  defaultReferences: []\n  executionOrder: 0\n"
            "  icon: {instanceID: 0}\n  userData: \n  assetBundleName: \n  assetBundleVariant: \n"),
    ".asmdef": ("AssemblyDefinitionImporter", ""),
    ".md": ("TextScriptImporter", ""),
    ".csproj": ("DefaultImporter", ""),
    "package.json": ("PackageManifestImporter", ""),
}
PLAIN = "  externalObjects: {}\n  userData: \n  assetBundleName: \n  assetBundleVariant: \n"


def meta(path):
    """What Unity keeps of a file or folder."""
    guid = hashlib.md5(("netswap:" + str(path.relative_to(HERE))).encode()).hexdigest()
    head = f"fileFormatVersion: 2\nguid: {guid}\n"
    if path.is_dir():
        return head + "folderAsset: yes\nDefaultImporter:\n" + PLAIN
    importer, body = IMPORTERS.get(path.name) or IMPORTERS[path.suffix]
    return head + f"{importer}:\n" + (body or PLAIN)


def assets(package):
    """The files and folders of a package that have a meta. A sample's are copied with it."""
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        hidden = any(part.startswith(".") or part in ("bin", "obj") for part in parts)
        if not hidden and path.suffix != ".meta" and not path.name.endswith("~"):
            if parts[0] == "Samples~" and len(parts) == 2:
                continue
            yield path


def check():
    """What is wrong, as sentences."""
    wrong = []
    built = sources(HERE / "unity" / "Runtime")
    listed = []
    for item in xml.parse(HERE / "NetSwap" / "NetSwap.csproj").iter("Compile"):
        listed += [str(path.resolve()) for path in (HERE / "NetSwap").glob(item.get("Include"))]
    unity = [str(path) for path in (HERE / "unity").rglob("*.cs")
             if not any(part.endswith("~") for part in path.relative_to(HERE).parts)]
    asmdefs = [path.parent for path in (HERE / "unity").rglob("*.asmdef")]
    outside = [path for path in unity if not any(str(path).startswith(f"{folder}/") for folder in asmdefs)]
    for name, others in (("NetSwap.csproj", sorted(listed)), ("the Unity package", sorted(unity))):
        different = sorted(set(others) ^ set(built))
        if different or len(others) != len(built):
            wrong.append(f"{name} has other sources than those that are built and tested: {different}")
    if not built or outside:
        wrong.append(f"sources that no asmdef has: {outside}")
    guids = {}
    for package in (HERE / "unity", HERE / "tests"):
        found = set()
        for path in assets(package):
            its = path.with_name(path.name + ".meta")
            found.add(its)
            text = its.read_text() if its.exists() else ""
            guid = re.search(r"^guid: ([0-9a-f]{32})$", text, re.M)
            if not guid:
                wrong.append(f"{path} has no .meta with a GUID")
            elif guids.setdefault(guid[1], path) != path:
                wrong.append(f"{path} and {guids[guid[1]]} have the same GUID")
        wrong += [f"{path} is of nothing" for path in package.rglob("*.meta") if path not in found]
        manifest = json.loads((package / "package.json").read_text())
        version = xml.parse(HERE / "NetSwap" / "NetSwap.csproj").find(".//Version").text
        if manifest["version"] != version:
            wrong.append(f"{package} has version {manifest['version']}, and NetSwap.csproj {version}")
    for sample in json.loads((HERE / "unity" / "package.json").read_text())["samples"]:
        if not list((HERE / "unity" / sample["path"]).glob("*.cs")):
            wrong.append(f"the sample {sample['path']} has no script")
    return wrong


def write():
    for package in (HERE / "unity", HERE / "tests"):
        for path in assets(package):
            its = path.with_name(path.name + ".meta")
            if not its.exists():
                its.write_text(meta(path))


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    problems = check()
    print("\n".join(problems) or "the packages are as they should be")
    sys.exit(1 if problems else 0)
