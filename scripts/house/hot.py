"""Hot modules: what is C stands in the .pxd and nowhere else, and nothing is Python by an oversight.

Cython makes a function C that the .pxd declares (in a class also that of a base class), and one with a decorator. Whatever has
neither becomes a Python function without a word, which works and is slow. So that a reader may believe the .pxd, every C method
of a class stands in it, overrides too. A function that only its own module knows stays out of it, as `static` would keep it
out of a C header: its decorators say what it is.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from floors import CIMPORT_LINE
from tree import Finding, Source, Tree

# What a .pxd says as well. It cannot say no_gc: Cython takes it from the class alone, and only beside cclass.
SAID_BY_PXD = {"cfunc", "ccall", "cclass", "exceptval", "inline", "nogil", "with_gil", "returns", "locals", "final"}
C_FUNCTION = {"cfunc", "ccall"}
CLASS_LINE = re.compile(r"cdef (?:public |api )*class (\w+)(?:\((\w+)\))?\s*:")
FUNCTION_LINE = re.compile(r"(\s*)cp?def\s[^(=#]*?(\w+)\s*\(")


@dataclass
class Declared:
    """What one .pxd declares; the methods of each class, and under None the functions of the module."""

    methods: dict[str | None, set[str]] = field(default_factory=lambda: {None: set()})
    bases: dict[str, str | None] = field(default_factory=dict)
    cimports: dict[str, str] = field(default_factory=dict)  # name -> module


def find(tree: Tree) -> Iterator[Finding]:
    """Every decorator that repeats a .pxd, and every function that looks like C and is Python, or the other way round."""
    declared = {source.module: read_declared(source.text) for source in tree.sources if source.path.suffix == ".pxd"}
    for source in tree.sources:
        if source.path.suffix == ".py" and source.module in declared:
            yield from HotModule(source, declared).find()


def read_declared(text: str) -> Declared:
    """The classes, methods and functions of a .pxd."""
    found = Declared()
    for cimport in CIMPORT_LINE.finditer(text):
        names = (cimport["names"] or "").strip("()").split(",")
        found.cimports.update({name.split(" as ")[-1].strip(): cimport["source"] for name in names})
    current = None
    for line in text.splitlines():
        if a_class := CLASS_LINE.match(line):
            current = a_class[1]
            found.bases[current] = a_class[2]
            found.methods[current] = set()
        elif line and not line[0].isspace():
            current = None
        if function := FUNCTION_LINE.match(line):
            found.methods[current if function[1] else None].add(function[2])
    return found


class HotModule:
    """One hot module beside all declarations."""

    def __init__(self, source: Source, all_declared: dict[str, Declared]) -> None:
        self.source = source
        self.all_declared = all_declared
        self.declared = all_declared[source.module]
        self.c_types = {
            alias.asname or alias.name
            for node in source.syntax.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cython.cimports.libc.")
            for alias in node.names
        }

    def find(self) -> Iterator[Finding]:
        """What is wrong with it."""
        for node in self.source.syntax.body:
            if isinstance(node, ast.FunctionDef):
                yield from self.check_function(node, None)
            elif isinstance(node, ast.ClassDef) and node.name in self.declared.bases:
                yield from self.check_class(node)

    def check_class(self, node: ast.ClassDef) -> Iterator[Finding]:
        """A class that the .pxd declares."""
        own, inherited = self.declared.methods[node.name], self.inherited_methods(node.name)
        if c_directives(node) <= SAID_BY_PXD:
            yield from self.repeated(node)
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                yield from self.check_function(method, node.name)
                if method.name in inherited - own:
                    yield self.finding(method, "is C by the .pxd of a base class: declare it in that of its own too")
                elif method.name in own:
                    yield from self.calls_of_python(method, {m.name for m in node.body if isinstance(m, ast.FunctionDef)} - own)

    def check_function(self, node: ast.FunctionDef, class_name: str | None) -> Iterator[Finding]:
        """A function of the module, or a method of a class that the .pxd declares."""
        directives = c_directives(node)
        if node.name in self.declared.methods[class_name]:
            yield from self.repeated(node)
        elif directives & C_FUNCTION and class_name:
            yield self.finding(node, "is C by its decorators: declare it in the .pxd, without them")
        elif not directives & C_FUNCTION and self.is_c_type(node.returns):
            yield self.finding(node, "returns a C type and is a Python function: declare it in the .pxd")

    def repeated(self, node: ast.FunctionDef | ast.ClassDef) -> Iterator[Finding]:
        """Decorators that say once more what the .pxd says."""
        for name in sorted(c_directives(node) & SAID_BY_PXD):
            yield self.finding(node, f"stands in the .pxd: take @cython.{name} away")

    def calls_of_python(self, method: ast.FunctionDef, python_methods: set[str]) -> Iterator[Finding]:
        """Calls of the class's own Python methods in one of its C methods."""
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"self.{name}" for name in python_methods}:
                called = ast.unparse(node.func)
                yield self.finding(node, f"{method.name} is C and calls {called}, a Python method: declare that in the .pxd")

    def inherited_methods(self, class_name: str) -> set[str]:
        """The C methods of all base classes that a .pxd of this tree declares."""
        found: set[str] = set()
        declared, base = self.declared, self.declared.bases[class_name]
        while base:
            if base not in declared.bases:
                module = declared.cimports.get(base, "")
                home = self.all_declared.get(module) or self.all_declared.get(f"{self.source.package}.{module}")
                if home is None or base not in home.bases:
                    break
                declared = home
            found |= declared.methods[base]
            base = declared.bases[base]
        return found

    def is_c_type(self, annotation: ast.expr | None) -> bool:
        """Whether a return annotation can only mean C: `cython.int`, `cython.pointer(X)`, `uint64_t`."""
        text = ast.unparse(annotation) if annotation else ""
        return text.startswith("cython.") or text in self.c_types

    def finding(self, node: ast.FunctionDef | ast.ClassDef | ast.Call, problem: str) -> Finding:
        """*problem* at *node*."""
        name = "" if isinstance(node, ast.Call) else f"{node.name} "
        return Finding(self.source.path, node.lineno, name + problem)


def c_directives(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """The `cython.` decorators of a definition."""
    called = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return {d.attr for d in called if isinstance(d, ast.Attribute) and isinstance(d.value, ast.Name) and d.value.id == "cython"}
