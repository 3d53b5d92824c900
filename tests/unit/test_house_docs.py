"""Documents speak only of commands, options and keys that exist."""

import json
import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest

from mosn_mp import cli
from mosn_mp.config import model
from mosn_mp.config.load import check
from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.stream_filter import StreamFilter
from mosn_mp.filter.testing import SampleStream

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"mosn_mp ((?:start|stop|status|check|version|reload|upgrade)\b[^`\n|]*)")
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """(page, what follows `mosn_mp`) of every command in the pages."""
    return [(page.name, match[1].strip()) for page in PAGES for match in COMMAND.finditer(page.read_text())]


def blocks(*languages: str) -> list[tuple[str, str, str]]:
    """(page, language, text) of every fenced block in one of *languages*."""
    found = [(page.name, match[1], match[2]) for page in PAGES for match in FENCE.finditer(page.read_text())]
    return [block for block in found if block[1] in languages]


def configurations() -> list[tuple[str, str, str]]:
    """Every block that is a whole configuration."""
    return [block for block in blocks("json", "yaml") if re.search(r'^ *"?servers"?:', block[2], re.M)]


def known_keys() -> set[str]:
    """Every key of the configuration model."""
    structs = [s for s in vars(model).values() if isinstance(s, type) and issubclass(s, msgspec.Struct)]
    return {key for struct in structs for key in struct.__struct_encode_fields__}


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_in_a_page_exists_with_its_options(page: str, command: str) -> None:
    name, *arguments = shlex.split(command, comments=True)
    assert name in cli.cli.commands
    parameters = [p for p in cli.cli.commands[name].params if isinstance(p, click.Option)]
    known = {option for parameter in parameters for option in parameter.opts}
    assert {a.partition("=")[0] for a in arguments if a.startswith("-")} <= known


def test_the_readme_names_the_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert set(cli.cli.commands) - {name for name in cli.cli.commands if f"mosn_mp {name}" in text} <= {"version"}


@pytest.mark.parametrize(("page", "kind", "text"), configurations())
def test_every_whole_configuration_in_a_page_is_served(tmp_path: Path, page: str, kind: str, text: str) -> None:
    path = tmp_path / f"example.{kind}"
    path.write_text(text)
    assert check(path).errors == ()


def test_the_filter_in_the_readme_works() -> None:
    text = next(text for page, _, text in blocks("python") if page == "README.md")
    names: dict[str, type[StreamFilter]] = {}
    exec(text, names)
    chain, stream = FilterChain([names["Greeter"](None)]), SampleStream(headers={"User-Agent": "curl/8.0"})
    chain.run("on_request", stream)
    stream.answer(200)
    chain.run("on_response", stream)
    assert stream.request.get("x-greeted-by") == stream.response.get("x-served-by") == b"mosn_mp"


@pytest.mark.parametrize("path", sorted((ROOT / "conf").iterdir()), ids=lambda p: p.name)
def test_every_configuration_that_is_shipped_is_served(path: Path) -> None:
    assert check(path).errors == ()


def test_the_keys_in_the_page_of_the_configuration_exist() -> None:
    written = {key for name, _, text in blocks("json") if name == "config.md" for key in keys_of(json.loads(text))}
    assert written <= known_keys()


def keys_of(value: object) -> set[str]:
    """All keys of all objects in *value*."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()
