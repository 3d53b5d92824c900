import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mosn_mp.config import snapshot
from mosn_mp.config.checks.stream_filters import bind
from mosn_mp.config.load import load
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import NO_SOURCES

Errors = Callable[..., list[str]]
ENTRY = "servers[0].listeners[0].stream_filters[0]"
SOURCE = """
from msgspec import Struct
from mosn_mp.errors import ConfigError
from mosn_mp.filter.stream_filter import StreamFilter

class StampConfig(Struct):
    header: str
    tries: int = 1

class Stamp(StreamFilter):
    Config = StampConfig

    def __init__(self, config):
        if config.tries > 3:
            raise ConfigError("tries", "is more than anybody waits for")

class Plain(StreamFilter):
    pass

class Odd(StreamFilter):
    Config = 5

class Other:
    pass

instance = Plain(None)
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    """A user's module beside the configuration, under a name of its own."""
    name = f"stamp_{tmp_path.name}".replace("-", "_")
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / f"{name}.py").write_text(SOURCE)
    yield name
    sys.modules.pop(name, None)
    sys.path[:] = [path for path in sys.path if not path.startswith(str(tmp_path))]


@pytest.fixture
def errors_with(minimal: dict[str, Any], errors_of: Errors) -> Errors:
    """The errors of a configuration with one stream filter."""

    def errors(**entry: object) -> list[str]:
        minimal["servers"][0]["listeners"][0]["stream_filters"] = [entry]
        return errors_of(minimal)

    return errors


def test_a_users_filter_is_found_beside_the_configuration(errors_with: Errors, module: str, tmp_path: Path) -> None:
    assert errors_with(type=f"{module}:Stamp", python_path="filters", config={"header": "x"}) == []
    (entry,) = snapshot.decode(snapshot.encode(load(tmp_path / "c.json"), NO_SOURCES)).rest.server.listeners[0].stream_filters
    assert entry.python_path == (str(tmp_path / "filters"),)
    bound, config = bind(entry)
    assert bound.__name__ == "Stamp"
    assert (config.header, config.tries) == ("x", 1)  # type: ignore[union-attr]


def test_a_users_configuration_is_decoded_strictly(errors_with: Errors, module: str) -> None:
    errors = errors_with(type=f"{module}:Stamp", python_path=["filters"], config={"heder": "x", "tries": "2"})
    assert errors == [
        f"{ENTRY}.config.heder: unknown key; did you mean 'header'?",
        f'{ENTRY}.config.tries: expected a whole number, got "2"',
    ]
    assert errors_with(type=f"{module}:Stamp", python_path="filters") == [f"{ENTRY}.config: 'header' is missing"]


def test_a_filter_without_config_takes_none(errors_with: Errors, module: str) -> None:
    assert errors_with(type=f"{module}:Plain", python_path="filters", config={"a": 1}) == [
        f'{ENTRY}.config: the filter "{module}:Plain" takes no configuration'
    ]
    assert errors_with(type=f"{module}:Plain", python_path="filters") == []


def test_a_filter_that_is_no_class_or_has_an_odd_config_is_named(errors_with: Errors, module: str) -> None:
    assert errors_with(type=f"{module}:instance", python_path="filters") == [f'{ENTRY}.type: "{module}:instance" is not a class']
    assert errors_with(type=f"{module}:Odd", python_path="filters") == [
        f'{ENTRY}.type: the filter "{module}:Odd" is broken: its Config is not a msgspec.Struct class'
    ]


def test_what_a_filter_refuses_when_it_is_made_is_an_error_of_the_configuration(errors_with: Errors, module: str) -> None:
    assert errors_with(type=f"{module}:Stamp", python_path="filters", config={"header": "x", "tries": 4}) == [
        f"{ENTRY}.config.tries: is more than anybody waits for"
    ]
    (error,) = errors_with(type=f"{module}:Other", python_path="filters")
    assert error.startswith(f"{ENTRY}.type: '{module}:Other' is not a subclass of")


def test_a_filter_that_cannot_be_found_says_why(errors_with: Errors, module: str, tmp_path: Path) -> None:
    assert errors_with(type="no_such_module_here:X") == [
        f"{ENTRY}.type: 'no_such_module_here:X': there is no module 'no_such_module_here'; is its directory in python_path?"
    ]
    assert errors_with(type=f"{module}:Stmp", python_path="filters") == [
        f"{ENTRY}.type: '{module}:Stmp': {tmp_path}/filters/{module}.py has no 'Stmp'; did you mean 'Stamp'?"
    ]


def test_a_filter_of_mosn_that_is_not_served_is_told_from_one_that_is_not_there(errors_with: Errors) -> None:
    assert errors_with(type="gzip") == [f'{ENTRY}.type: the stream filter "gzip" is not in this version of mosn_mp']
    assert errors_with(type="ip_acces") == [f"{ENTRY}.type: unknown stream filter \"ip_acces\"; did you mean 'ip_access'?"]


def test_binding_what_the_class_does_not_take_raises(errors_with: Errors, module: str, tmp_path: Path) -> None:
    assert errors_with(type=f"{module}:Plain", python_path="filters") == []
    (entry,) = load(tmp_path / "c.json").server.listeners[0].stream_filters
    with pytest.raises(ConfigError, match="config: 'header' is missing"):
        bind(replace(entry, type=f"{module}:Stamp"))
