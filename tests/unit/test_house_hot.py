"""What a hot module may say of C itself: each test breaks a rule of scripts/house/hot.py in a module of a few lines."""

from pathlib import Path

import hot
import pytest
from tree import Tree

HEAD = '"""Codecs."""\n\nimport cython\nfrom cython.cimports.libc.stdint import uint32_t\n\n'
PXD = """cdef class Codec:
    cdef int size       # of codec()
    cdef int read(
        self, int count
    ) noexcept

cdef int mix(int seed) noexcept
"""
READ = "    def read(self, count: cython.int) -> cython.int:\n"


class HotTree:
    """A project with one hot module, mosn_mp/codec/codec, and what the house says of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "mosn_mp/codec").mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        (self.root / "mosn_mp/codec" / name).write_text(text)

    def problems(self, text: str, pxd: str = PXD) -> list[str]:
        """What is wrong with *text* beside *pxd*."""
        self.write("codec.py", HEAD + text)
        self.write("codec.pxd", pxd)
        return [finding.problem for finding in hot.find(Tree(self.root))]


@pytest.fixture
def tree(tmp_path: Path) -> HotTree:
    return HotTree(tmp_path)


def test_a_module_without_decorators_is_right(tree: HotTree) -> None:
    method = f"{READ}        return mix(count)\n"
    assert tree.problems(f"class Codec:\n{method}\n\ndef mix(seed: cython.int) -> cython.int:\n    return seed\n") == []


@pytest.mark.parametrize("decorator", ["cfunc", "ccall", "inline", "nogil", "exceptval(check=False)"])
def test_a_decorator_that_repeats_the_pxd_is_refused(tree: HotTree, decorator: str) -> None:
    (problem,) = tree.problems(f"@cython.{decorator}\ndef mix(seed: cython.int) -> cython.int:\n    return seed\n")
    assert problem == f"mix stands in the .pxd: take @cython.{decorator.partition('(')[0]} away"


def test_a_class_that_repeats_the_pxd_is_refused(tree: HotTree) -> None:
    assert tree.problems("@cython.cclass\nclass Codec:\n    pass\n") == ["Codec stands in the .pxd: take @cython.cclass away"]


def test_a_class_keeps_what_a_pxd_cannot_say(tree: HotTree) -> None:
    assert tree.problems("@cython.no_gc\n@cython.cclass\nclass Codec:\n    pass\n") == []


def test_a_function_of_the_module_alone_keeps_its_decorators(tree: HotTree) -> None:
    assert tree.problems("@cython.cfunc\n@cython.inline\ndef own(seed: uint32_t) -> uint32_t:\n    return seed\n") == []


def test_a_c_method_that_the_pxd_does_not_declare_is_refused(tree: HotTree) -> None:
    (problem,) = tree.problems("class Codec:\n    @cython.cfunc\n    def write(self) -> object:\n        return self\n")
    assert "write is C by its decorators: declare it in the .pxd" in problem


@pytest.mark.parametrize("returned", ["cython.int", "cython.void", "cython.pointer(cython.char)", "uint32_t"])
@pytest.mark.parametrize("place", ["class Codec:\n    def write(self)", "def write()"])
def test_a_function_that_would_silently_be_python_is_refused(tree: HotTree, place: str, returned: str) -> None:
    (problem,) = tree.problems(f"{place} -> {returned}:\n        pass\n")
    assert problem == "write returns a C type and is a Python function: declare it in the .pxd"


def test_a_python_method_that_a_c_method_calls_is_refused(tree: HotTree) -> None:
    methods = f"{READ}        return len(self.text())\n\n    def text(self) -> bytes:\n        return b''\n"
    (problem,) = tree.problems(f"class Codec:\n{methods}")
    assert problem == "read is C and calls self.text, a Python method: declare that in the .pxd"


@pytest.mark.parametrize(
    ("base", "cimport"),
    [
        ("cdef class Reader:\n    cdef object next(self)\n\n", ""),
        ("", "from mosn_mp.codec.reader cimport Reader\n"),
        ("", "from mosn_mp.codec.reader cimport (\n    Other,\n    Reader,\n)\n"),
    ],
    ids=["of the module", "of another", "of another in a list"],
)
def test_an_override_that_its_own_pxd_does_not_declare_is_refused(tree: HotTree, base: str, cimport: str) -> None:
    tree.write("reader.pxd", "cdef class First:\n    cdef object next(self)\n\ncdef class Reader(First):\n    cdef int size\n")
    (problem,) = tree.problems(
        "class Codec(Reader):\n    def next(self) -> object:\n        return self\n",
        f"{cimport}{base}cdef class Codec(Reader):\n    cdef int size\n",
    )
    assert problem == "next is C by the .pxd of a base class: declare it in that of its own too"
