"""Users' Python: what travels, and that nothing else counts in the process that gets it."""

import importlib.util
import inspect
import os
import py_compile
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue
from mosn_mp.plugin import edition as edition_module
from tests.unit.plugin.travel import PLACES, forget, judged, worker

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write modules: name=text, packages by `package__module=text`."""

    def write_(**texts: str) -> None:
        for name, text in texts.items():
            file = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            file.parent.mkdir(exist_ok=True)
            if file.parent != tmp_path:
                (file.parent / "__init__.py").touch()
            file.write_text(text)

    return write_


def test_what_was_judged_is_served_whatever_lies_on_disk(write: Write, tmp_path: Path) -> None:
    write(mine="import yours\nX = yours.Y", yours="Y = 1")
    assert judged("mine:X", tmp_path)[0] == 1
    sources = judged("mine:X", tmp_path)[1]
    write(mine="X = 2", yours="nonsense(")
    assert worker(sources).resolve("codec", "mine:X", [str(tmp_path)]) == 1
    forget(tmp_path)
    assert worker(sources).resolve("codec", "mine:X", [str(tmp_path)]) == 1


def test_a_whole_package_travels(write: Write, tmp_path: Path) -> None:
    write(
        pack__a="from . import b\nfrom .deep import C\nX = b.Y + C",
        pack__b="Y = 1\ndef later(name):\n    import importlib\n    return importlib.import_module('pack.' + name)",
        pack__late="Z = 10",
    )
    (tmp_path / "pack" / "deep").mkdir()
    (tmp_path / "pack" / "deep" / "__init__.py").write_text("from pack.deep.down import C")
    (tmp_path / "pack" / "deep" / "down.py").write_text("C = 100")
    sources = judged("pack.a:X", tmp_path)[1]
    forget(tmp_path)
    catalogue = worker(sources)
    assert catalogue.resolve("codec", "pack.a:X", [str(tmp_path)]) == 101
    later: Any = catalogue.resolve("codec", "pack.b:later", [str(tmp_path)])
    assert later("late").Z == 10


@pytest.mark.parametrize("statement", [
    "import late", "from late import Z", "import late as l", "__import__('late')",
    "importlib.import_module('late')", "from importlib import import_module; import_module('late')",
])  # fmt: skip
def test_what_a_function_imports_later_travels_too(write: Write, tmp_path: Path, statement: str) -> None:
    write(mine=f"import importlib, sys\ndef f():\n    {statement}\n    return sys.modules['late'].Z", late="import later\nZ = 1")
    write(later="")
    sources = judged("mine:f", tmp_path)[1]
    assert sorted(sources.modules) == ["late", "later", "mine"]
    write(late="Z = 2")
    f: Any = worker(sources).resolve("codec", "mine:f", [str(tmp_path)])
    assert f() == 1


def test_what_did_not_travel_is_not_read_from_disk(write: Write, tmp_path: Path) -> None:
    write(mine="def f(name):\n    return __import__(name)", hidden="")
    sources = judged("mine:f", tmp_path)[1]
    assert list(sources.modules) == ["mine"]
    f: Any = worker(sources).resolve("codec", "mine:f", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match=r"hidden.py was not accepted .* name 'hidden' in an import statement"):
        f("hidden")
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere'"):
        f("nowhere")
    assert f("json").__name__ == "json"


def test_a_module_that_appears_after_it_was_judged_is_not_imported(write: Write, tmp_path: Path) -> None:
    write(mine="try:\n    import fast as chosen\nexcept ImportError:\n    chosen = None")
    assert judged("mine:chosen", tmp_path)[0] is None
    sources = judged("mine:chosen", tmp_path)[1]
    write(fast="")
    assert worker(sources).resolve("codec", "mine:chosen", [str(tmp_path)]) is None


def test_a_namespace_package_travels(write: Write, tmp_path: Path) -> None:
    (tmp_path / "space" / "inner").mkdir(parents=True)
    (tmp_path / "space" / "inner" / "m.py").write_text("X = 1")
    sources = judged("space.inner.m:X", tmp_path)[1]
    assert sorted(sources.modules) == ["space", "space.inner", "space.inner.m"]
    (tmp_path / "space" / "inner" / "m.py").unlink()
    (tmp_path / "space" / "inner").rmdir()
    assert worker(sources).resolve("codec", "space.inner.m:X") == 1


def test_a_stale_pyc_is_neither_read_nor_written(write: Write, tmp_path: Path) -> None:
    write(mine="X = 1")
    file = tmp_path / "mine.py"
    py_compile.compile(str(file))
    at = file.stat()
    write(mine="X = 2")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))  # the .pyc is for a file of this time and size
    cached = Path(importlib.util.cache_from_source(str(file)))
    before = cached.read_bytes()
    assert judged("mine:X", tmp_path)[0] == 2
    assert cached.read_bytes() == before


def test_tracebacks_and_inspect_show_what_runs(write: Write, tmp_path: Path) -> None:
    write(mine="def f():\n    raise ValueError('accepted line')\n")
    sources = judged("mine:f", tmp_path)[1]
    write(mine="\n\n# another\n# text\n")
    f: Any = worker(sources).resolve("codec", "mine:f", [str(tmp_path)])
    with pytest.raises(ValueError, match="accepted") as caught:
        f()
    text = "".join(traceback.format_exception(caught.value))
    assert f'File "{tmp_path}/mine.py", line 2' in text
    assert "    raise ValueError('accepted line')" in text
    assert inspect.getsource(f).startswith("def f():")


def test_file_and_data_beside_it_are_where_they_were(write: Write, tmp_path: Path) -> None:
    write(pack__m=(
        "import importlib.resources, os, pkgutil\nFILE = __file__\ndef read():\n"
        "    beside = open(os.path.join(os.path.dirname(__file__), 'd.txt')).read()\n"
        "    resource = importlib.resources.files('pack').joinpath('d.txt')\n"
        "    return beside, pkgutil.get_data('pack', 'd.txt'), resource.read_text()"
    ))  # fmt: skip
    (tmp_path / "pack" / "d.txt").write_text("data")
    sources = judged("pack.m:read", tmp_path)[1]
    catalogue = worker(sources)
    assert catalogue.resolve("codec", "pack.m:FILE") == str(tmp_path / "pack" / "m.py")
    read: Any = catalogue.resolve("codec", "pack.m:read")
    assert read() == ("data", b"data", "data")


def test_what_is_installed_does_not_travel_unless_it_is_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "installed_one.py").write_text("import installed_two\nX = installed_two.Y")
    (site / "installed_two.py").write_text("Y = 1")
    write(mine="import installed_one\nX = installed_one.X")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    assert list(judged("mine:X", tmp_path)[1].modules) == ["mine"]
    (site / "installed_one.py").rename(site / "named_one.py")
    assert list(judged("named_one:X")[1].modules) == ["named_one"]


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("X = 1\nY = 2")
    catalogue = Catalogue(PLACES)
    catalogue.resolve("codec", "mine:X", [str(tmp_path / "a")])
    with pytest.raises(ConfigError, match=r"a/mine.py is imported by the name 'mine' before .*b/mine.py; give the file another"):
        catalogue.resolve("codec", "mine:Y", [str(tmp_path / "b")])
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert catalogue.resolve("codec", "mine:Y", [str(tmp_path / "link")]) == 2


def test_too_much_is_refused_with_who_takes_it(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edition_module, "MAX_BYTES", 20_000)
    write(mine="def f():\n    import large", large="#" * 30_000)
    catalogue = Catalogue(PLACES)
    catalogue.resolve("codec", "mine:f", [str(tmp_path)])
    with pytest.raises(ConfigError, match="the Python files that travel to the workers have .* 'large' alone"):
        catalogue.sources()


def test_an_edition_that_differs_is_loaded_as_a_whole_and_can_be_left_again(write: Write, tmp_path: Path) -> None:
    write(mine="import yours\nclass X:\n    y = yours.Y", yours="Y = 1")
    first = judged("mine:X", tmp_path)[1]
    write(yours="Y = 2")
    second = judged("mine:X", tmp_path)[1]
    catalogue = worker(first)
    old: Any = catalogue.resolve("codec", "mine:X")
    edition = catalogue.edition.successor(second, is_sealed=True)
    assert edition.is_new_code
    with catalogue.using(edition):
        new: Any = catalogue.resolve("codec", "mine:X")
        assert (old.y, new.y) == (1, 2)
    assert catalogue.resolve("codec", "mine:X") is old
    assert sys.modules["yours"].Y == 1
    catalogue.serve(edition)
    assert catalogue.resolve("codec", "mine:X") is new
    assert sys.modules["yours"].Y == 2


def test_modules_that_come_or_go_leave_the_others_as_they_are(write: Write, tmp_path: Path) -> None:
    write(mine="class X: pass", other="class X: pass")
    few, many = judged("mine:X", tmp_path)[1], judged("other:X", tmp_path)[1]
    many.modules.update(few.modules)
    catalogue = worker(few)
    old = catalogue.resolve("codec", "mine:X")
    for sources in (many, few):
        edition = catalogue.edition.successor(sources, is_sealed=True)
        assert not edition.is_new_code
        catalogue.serve(edition)
        assert catalogue.resolve("codec", "mine:X") is old
        assert ("other" in catalogue.edition.modules) == (sources is many)


@pytest.mark.parametrize(("change", "is_outdated"), [
    ({}, False), ({"mine": "def f():\n    import late # \n"}, True), ({"late": "Z = 2"}, True), ({"unrelated": ""}, False),
    ({"maybe": ""}, True),
])  # fmt: skip
def test_an_edition_knows_whether_the_files_are_others_now(
    write: Write, tmp_path: Path, change: dict[str, str], is_outdated: bool
) -> None:
    write(mine="def f():\n    import late, maybe", late="Z = 1")
    catalogue = Catalogue(PLACES)
    catalogue.resolve("codec", "mine:f", [str(tmp_path)])
    catalogue.sources()
    write(**change)
    edition = catalogue.edition.look_anew()
    with catalogue.using(edition):
        catalogue.resolve("codec", "mine:f", [str(tmp_path)])
    assert edition.is_outdated() == is_outdated


def test_another_directory_of_the_same_name_makes_it_outdated(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("X = 1")
    catalogue = Catalogue(PLACES)
    catalogue.resolve("codec", "mine:X", [str(tmp_path / "v1")])
    edition = catalogue.edition.look_anew()
    with catalogue.using(edition), pytest.raises(ConfigError, match="give the file another name"):
        catalogue.resolve("codec", "mine:X", [str(tmp_path / "v2")])
    assert edition.is_outdated()


def test_an_extension_module_is_loaded_from_its_file(tmp_path: Path) -> None:
    found = importlib.util.find_spec("msgspec._core")
    assert found is not None and found.origin is not None
    (tmp_path / "core_of_mine").mkdir()
    (tmp_path / "core_of_mine" / "__init__.py").touch()
    file = tmp_path / "core_of_mine" / Path(found.origin).name
    file.symlink_to(found.origin)
    (tmp_path / "mine.py").write_text("def f():\n    import core_of_mine._core")
    sources = judged("mine:f", tmp_path)[1]
    assert sources.modules["core_of_mine._core"].text is None
    spec = worker(sources).edition.find_spec("core_of_mine._core", None)
    assert spec is not None and spec.origin == str(file)


def test_entry_points_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    (site / "acme-1.dist-info").mkdir(parents=True)
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (site / "acme-1.dist-info" / "entry_points.txt").write_text("[mosn_mp.codecs]\nacme = acme_codec:X\n")
    (site / "acme_codec.py").write_text("X = 1")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    value, sources = judged("acme")
    assert value == 1
    monkeypatch.setattr(sys, "path", sys.path[:-1])
    catalogue = worker(sources)
    assert catalogue.names("codec") == ("acme",)
    assert catalogue.resolve("codec", "acme") == 1


def test_modules_of_mosn_mp_are_never_a_users(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import mosn_mp.errors, json, gevent\nX = 1")
    assert list(judged("mine:X", tmp_path)[1].modules) == ["mine"]
    assert isinstance(sys.modules["mosn_mp.errors"], ModuleType)
