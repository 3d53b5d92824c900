"""What the .pxd files say is what Cython made: every C method of a hot class stands there, and what stands there is C."""

import importlib
import re
from pathlib import Path

import hot
import pytest
from tree import Tree

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {source.module: source for source in Tree(ROOT).product(".py") if (ROOT / source.path).with_suffix(".pxd").exists()}


@pytest.mark.parametrize("module_name", SOURCES)
def test_what_the_pxd_declares_is_c_and_nothing_else(module_name: str) -> None:
    text = (ROOT / SOURCES[module_name].path).with_suffix(".pxd").read_text()
    declared = hot.read_declared(text)
    for_python_too = set(re.findall(r"\bcpdef\s[^(]*?(\w+)\(", text))
    module = importlib.import_module(module_name)
    for node in SOURCES[module_name].syntax.body:
        name = getattr(node, "name", "")
        if name in declared.bases:
            written = {m.name for m in getattr(node, "body", ()) if hasattr(m, "name") and not m.name.startswith("__")}
            seen_by_python = written & set(vars(getattr(module, name)))
            assert written - seen_by_python == declared.methods[name] - for_python_too
        elif name in declared.methods[None]:
            assert hasattr(module, name) == (name in for_python_too), f"{name} is C in the .pxd and Python in the module"
