"""Compiles with Roslyn inside of a .NET runtime. Run by check.py with the Python that has pythonnet.

Reads one JSON object from standard input: where the runtime and the compiler are, and `jobs`, each with ordinary arguments of
the C# compiler, or the references of an assembly to be rewritten. Prints what the compiler says, and ends with 1 at the first
job that has a warning or an error.
"""

import json
import sys
import time


def main():
    told = json.load(sys.stdin)
    from pythonnet import load
    from clr_loader import get_coreclr

    load(get_coreclr(runtime_config=told["runtimeconfig"], dotnet_root=told["dotnet_root"]))
    import clr

    clr.AddReference(told["roslyn"] + "/Microsoft.CodeAnalysis.dll")
    clr.AddReference(told["roslyn"] + "/Microsoft.CodeAnalysis.CSharp.dll")
    for job in told["jobs"]:
        started = time.monotonic()
        if "arguments" in job:
            said = compile_one(job["arguments"])
        else:
            clr.AddReference(told["cecil"])
            said = rewrite(job["from"], job["to"])
        for line in said:
            print(line)
        print(f"  {'FAILED' if said else 'ok'}: {job['what']} ({time.monotonic() - started:.1f} s)", flush=True)
        if said:
            sys.exit(1)


def compile_one(arguments):
    """Compiles what ordinary csc arguments say; gives the diagnostics that are warnings or errors."""
    from Microsoft.CodeAnalysis import DiagnosticSeverity, MetadataReference, MetadataReferenceProperties
    from Microsoft.CodeAnalysis.CSharp import CSharpCommandLineParser, CSharpCompilation, CSharpSyntaxTree
    from Microsoft.CodeAnalysis.Text import SourceText
    from System import Array, String
    from System.IO import File, Path
    from System.Text import Encoding
    import Microsoft.CodeAnalysis as roslyn

    parsed = CSharpCommandLineParser.Default.Parse(Array[String](arguments), "/", "/")
    found = [str(one) for one in parsed.Errors]
    trees = []
    for source in parsed.SourceFiles:
        text = SourceText.From(File.ReadAllText(source.Path), Encoding.UTF8)
        trees.append(CSharpSyntaxTree.ParseText(text, parsed.ParseOptions, source.Path))
    references = [MetadataReference.CreateFromFile(one.Reference) for one in parsed.MetadataReferences]
    compilation = CSharpCompilation.Create(
        parsed.CompilationName or Path.GetFileNameWithoutExtension(parsed.OutputFileName),
        Array[roslyn.SyntaxTree](trees), Array[roslyn.MetadataReference](references), parsed.CompilationOptions)
    output = File.Create(Path.Combine(parsed.OutputDirectory, parsed.OutputFileName))
    documents = File.Create(parsed.DocumentationPath) if parsed.DocumentationPath else None
    try:
        result = compilation.Emit(output, None, documents)
    finally:
        output.Dispose()
        if documents:
            documents.Dispose()
    for one in result.Diagnostics:
        if one.Severity >= DiagnosticSeverity.Warning:
            found.append(str(one))
    if not result.Success and not found:
        found.append("nothing was emitted, and the compiler does not say why")
    return found


def rewrite(source, target):
    """Has an assembly refer to netstandard 2.1 in the place of Mono's libraries."""
    from Mono.Cecil import AssemblyDefinition, AssemblyNameReference
    from System import Array, Byte, Version

    assembly = AssemblyDefinition.ReadAssembly(source)
    module = assembly.MainModule
    standard = AssemblyNameReference("netstandard", Version(2, 1, 0, 0))
    standard.PublicKeyToken = Array[Byte](bytes.fromhex("cc7b13ffcd2ddd51"))
    old = {"mscorlib", "System", "System.Core"}
    others = sorted({one.Name for one in module.AssemblyReferences} - old - {"netstandard"})
    if others:
        return [f"{source} refers to {', '.join(others)}, of which netstandard 2.1 knows nothing"]
    for one in list(module.GetTypeReferences()):
        if one.Scope.Name in old | {"netstandard"}:
            one.Scope = standard
    module.AssemblyReferences.Clear()
    module.AssemblyReferences.Add(standard)
    assembly.Write(target)
    return []


main()
