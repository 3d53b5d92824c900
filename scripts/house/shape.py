"""Sizes, names and places: what a reader of the code base can count on."""

import ast
import re
from collections.abc import Iterator

from tree import Finding, Source, Tree

# The sentence in a module's docstring, or in the comment that heads a .pxd, by which a large file says why it is one: it silences
# the warning, never the refusal.
ONE_PIECE = re.compile(r"^(?:# ?)?One piece: \S", re.M)
LEFT_OVER = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")


def find(tree: Tree) -> Iterator[Finding]:
    """Every file and function that is too large, misnamed, unfinished, or imports late."""
    refused_names = tree.settings["house"]["refused_names"].split()
    late = {line.split(":")[0].strip() for line in tree.lines("house", "late_imports")}
    for source in tree.sources:
        yield from size(source, tree.limit("file_lines_warned"), tree.limit("file_lines_refused"))
        if source.path.name in refused_names:
            yield Finding(source.path, 0, f"{source.path.name} says nothing about what is inside: name the subject")
        yield from left_overs(source)
        if source.path.suffix == ".py":
            yield from functions(source, tree.limit("function_lines_warned"), tree.limit("function_lines_refused"))
    for source in tree.product(".py"):
        if source.path.name == "__init__.py":
            yield from code_in_init(source)
        if source.module not in late:
            yield from late_imports(source)


def size(source: Source, warned: int, refused: int) -> Iterator[Finding]:
    """A file of more lines than one subject needs, unless it says why it is one piece."""
    lines = source.text.count("\n")
    if lines > refused:
        yield Finding(source.path, 0, f"{lines} lines ({refused} is refused): split it")
    elif lines > warned and not ONE_PIECE.search(introduction(source)):
        problem = f"{lines} lines ({warned} is large): split it by subject, or say at its head `One piece: ` and why"
        yield Finding(source.path, 0, problem, is_refused=False)


def introduction(source: Source) -> str:
    """What a file says of itself before it begins: its docstring, or the comment at the head of a .pxd."""
    if source.path.suffix == ".py":
        return ast.get_docstring(source.syntax) or ""
    return source.text.split("\n\n", 1)[0]


def functions(source: Source, warned: int, refused: int) -> Iterator[Finding]:
    """Functions longer than a screen."""
    for node in ast.walk(source.syntax):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > warned:
                problem = f"{node.name} has {lines} lines ({warned} fit a screen, {refused} is refused): split it"
                yield Finding(source.path, node.lineno, problem, lines > refused)


def left_overs(source: Source) -> Iterator[Finding]:
    """Notes to do it later."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if match := LEFT_OVER.search(line):
            yield Finding(source.path, number, f"{match[0]}: do it now or open an issue")


def code_in_init(source: Source) -> Iterator[Finding]:
    """Code in an __init__.py that is neither its docstring nor a re-export."""
    for node in source.syntax.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_export = isinstance(node, ast.Import | ast.ImportFrom)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if not (is_docstring or is_export or is_all):
            yield Finding(source.path, node.lineno, "__init__.py holds a docstring and re-exports, no code")


def late_imports(source: Source) -> Iterator[Finding]:
    """Imports inside a function: the usual way to dodge a ring, and a cost on the path that runs it."""
    for outer in ast.walk(source.syntax):
        if not isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(outer):
            if isinstance(node, ast.Import | ast.ImportFrom):
                problem = f"{outer.name} imports late: move the import up, or name the module and the reason in setup.cfg [house]"
                yield Finding(source.path, node.lineno, problem)
