"""Protocols by name, from files and from classes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mosn_mp.codec.bolt.protocol import BOLT, BOLTV2
from mosn_mp.codec.compile import Protocols, compile_protocols, rpc_limits
from mosn_mp.codec.http1.protocol import HTTP1
from mosn_mp.config.model import BoltOptions, ExtendConfig
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue

EXAMPLE = Path(__file__).resolve().parents[3] / "docs/examples/x_example.py"
PLACES = {"codec": {"Http1": "mosn_mp.codec.http1.protocol:HTTP1"}}
SOURCE = """
from mosn_mp.codec.python_protocol import PythonProtocol
from mosn_mp.errors import ConfigError

class Named(PythonProtocol):
    name = "mine"

    def __init__(self, config=None):
        self.name = (config or {}).get("name", "mine")
        if self.name == "bad":
            raise ConfigError("name", "'bad' is not a good name")

def LoadCodec():
    return Named()

def nothing():
    return None

def two(a, b):
    return Named()
"""


class Entry(NamedTuple):
    """An entry of third_part_codec."""

    path: str
    loader_func_name: str = "LoadCodec"
    config: dict[str, Any] = {}
    enable: bool = True


Make = Callable[..., Protocols]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file of the user's, under a name of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = tmp_path / f"codec_{tmp_path.name}.py".replace("-", "_")
    made.write_text(SOURCE)
    yield str(made)
    sys.modules.pop(made.stem, None)


@pytest.fixture
def compiled() -> Make:
    """compile_protocols() with a catalogue of its own."""
    catalogue = Catalogue(PLACES)

    def compile_(*entries: Entry, before: Protocols | None = None) -> Protocols:
        return compile_protocols(entries, before, catalogue)

    return compile_


def test_a_built_in_protocol_is_the_object_of_the_catalogue(compiled: Make) -> None:
    protocols = compiled()
    assert protocols.named("Http1") is HTTP1 and protocols.names() == ("Http1",)


def test_a_file_adds_the_protocol_that_its_loader_makes(compiled: Make, file: str) -> None:
    protocols = compiled(Entry(file))
    assert protocols.named("mine").name == "mine" and protocols.names() == ("Http1", "mine")


def test_the_example_is_loaded_by_its_class(compiled: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert compiled(Entry(str(EXAMPLE), "XExample")).named("x_example").id_bits == 32


def test_a_loader_gets_its_config(compiled: Make, file: str) -> None:
    protocols = compiled(Entry(file), Entry(file, "Named", {"name": "other"}))
    assert protocols.names() == ("Http1", "mine", "other")


def test_what_did_not_change_is_the_same_object(compiled: Make, file: str) -> None:
    first = compiled(Entry(file), Entry(file, "Named", {"name": "a"}))
    second = compiled(Entry(file), Entry(file, "Named", {"name": "b"}), before=first)
    assert second.named("mine") is first.named("mine")
    assert not second.is_like(first) and second.is_like(compiled(Entry(file), Entry(file, "Named", {"name": "b"}), before=second))
    assert second.names() == ("Http1", "b", "mine")
    with pytest.raises(ConfigError, match="unknown codec 'a'"):
        second.named("a")


def test_a_class_can_be_named_directly(compiled: Make, file: str) -> None:
    protocols = compiled(Entry(file))
    name = f"{Path(file).stem}:Named"
    assert protocols.named(name).name == "mine" and protocols.named(name) is protocols.named(name)


def test_a_listener_speaks_what_it_names_in_that_order(compiled: Make, file: str) -> None:
    protocols = compiled(Entry(file))
    spoken = protocols.spoken(("mine", "Http1"), "Http1")
    assert [protocol.name for protocol in spoken.downstream] == ["mine", "Http1"]
    assert spoken.upstream is HTTP1 and set(spoken.by_name) == {"Http1", "mine"}


def test_a_listener_that_names_nothing_speaks_everything_and_hosts_what_the_client_does(compiled: Make, file: str) -> None:
    spoken = compiled(Entry(file)).spoken(())
    assert [protocol.name for protocol in spoken.downstream] == ["Http1", "mine"] and spoken.upstream is None


def test_a_name_that_is_taken_is_refused(compiled: Make, file: str) -> None:
    for name in ("Http1", "mine"):
        with pytest.raises(ConfigError, match=rf"\[1\]: there is a protocol '{name}' already"):
            compiled(Entry(file), Entry(file, "Named", {"name": name}))


@pytest.mark.parametrize(
    ("loader", "config", "path", "problem"),
    [
        ("Nmed", {}, "loader_func_name", "has no 'Nmed'; did you mean 'Named'"),
        ("nothing", {}, "", "makes NoneType, which is not a PythonProtocol"),
        ("two", {}, "", "missing 2 required positional arguments"),
        ("Named", {"name": "a b"}, "", "name is 'a b'"),
        ("Named", {"name": "bad"}, "config.name", "'bad' is not a good name"),
    ],
)
def test_a_loader_that_makes_no_protocol_is_refused(
    compiled: Make, file: str, loader: str, config: dict[str, str], path: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compiled(Entry(file, loader, config))
    assert caught.value.path == ("[0]" if not path else f"[0].{path}") and problem in caught.value.problem


def test_a_file_that_is_not_there_is_refused(compiled: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[0\]\.path: there is no file .*nothing\.py"):
        compiled(Entry(str(tmp_path / "nothing.py")))


def test_a_file_that_cannot_be_imported_is_refused_with_its_line(compiled: Make, file: str) -> None:
    Path(file).write_text("1 // 0\n")
    with pytest.raises(ConfigError, match=r"\[0\]\.path: .*ZeroDivisionError.*:1\)"):
        compiled(Entry(file))


def test_a_file_behind_another_module_of_its_name_is_refused(
    compiled: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "colorsys.py").write_text(SOURCE)
    with pytest.raises(ConfigError, match="is imported by the name 'colorsys' before this file; give the file another name"):
        compiled(Entry(str(tmp_path / "colorsys.py")))


def test_limits_follow_the_options_of_the_protocol() -> None:
    options = ExtendConfig(boltv2=BoltOptions(enable_bolt_goaway=True, max_frame_size=1000))
    limits = rpc_limits(BOLT, options), rpc_limits(BOLTV2, options)
    assert [(one.max_frame, one.goaway) for one in limits] == [(8 << 20, False), (1000, True)]


def test_limits_of_a_file_are_its_own(compiled: Make, file: str) -> None:
    assert rpc_limits(compiled(Entry(file)).named("mine"), ExtendConfig()).max_frame == 16 << 20
