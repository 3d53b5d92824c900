"""Secrets of a filter's configuration, in a running program: in no dump, no problem and no log."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.dynamic import Dynamic
from tests.process.program import wait_until

HERE = Path(__file__).parent
CODES = ["open-sesame-1", "open-sesame-2"]
HIDDEN = "***REDACTED***"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynamic]:
    made = Dynamic(tmp_path_factory.mktemp("secrets"))
    configure(made)
    try:
        made.start()
        yield made
    finally:
        made.end()


def configure(program: Dynamic, **config: Any) -> None:
    """Let the program's listener have a vault."""
    right = {"address": "10.0.0.1", "code": CODES[0], "old_codes": CODES[1:]}
    entry = {"type": "vault:Vault", "python_path": str(HERE), "config": {**right, **config}}
    program.server["listeners"][0]["stream_filters"] = [entry]
    program.write()


def assert_hidden(text: str) -> None:
    assert not any(code in text for code in CODES), text


def test_a_dump_hides_what_the_filter_calls_a_secret(guarded: Dynamic) -> None:
    expected = {"address": "10.0.0.1", "code": HIDDEN, "old_codes": [HIDDEN]}
    for path in ("/api/v1/config_dump", "/api/v1/config_dump?alllisteners", "/api/v1/config_dump?listener=front"):
        status, text = guarded.ask("GET", path)
        assert status == 200
        assert_hidden(text)
        assert expected in [entry["config"] for entry in find(json.loads(text), "stream_filters")]


def find(tree: Any, key: str) -> list[Any]:
    """What is in the lists named *key* anywhere in *tree*."""
    if isinstance(tree, list):
        return [found for item in tree for found in find(item, key)]
    if not isinstance(tree, dict):
        return []
    return tree.get(key, []) + [found for inner in tree.values() for found in find(inner, key)]


def test_the_log_of_a_filter_that_shows_its_config_hides_them(guarded: Dynamic) -> None:
    guarded.get()
    shown = f"VaultConfig(address='10.0.0.1', code={HIDDEN}, old_codes=({HIDDEN},), mood='good')"
    wait_until(lambda: f"a vault: {shown}, {shown}" in guarded.log_text(), "the filter's line")
    assert_hidden(guarded.log_text())


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"old_codes": CODES[0]}, "config.old_codes: expected a list, got a text"),
        ({"code": CODES}, "config.code: expected a text, got a list"),
        ({"kode": CODES[0]}, "config.kode: unknown key; did you mean 'code'?"),
        ({"mood": "refuse"}, f"the code {HIDDEN} does not open 10.0.0.1"),
        ({"mood": "bad"}, f"no vault opens by {HIDDEN} or ({HIDDEN},)"),
    ],
)
def test_no_mistake_shows_them(guarded: Dynamic, config: dict[str, Any], problem: str) -> None:
    configure(guarded, **config)
    checked = guarded.run("check", "--json")
    (error,) = json.loads(checked.stdout)["errors"]
    assert problem in f"{error['path']}: {error['problem']}; did you mean '{error['suggestion']}'?"
    assert_hidden(checked.stdout + checked.stderr)
    reloaded = guarded.run("reload")
    assert problem in reloaded.stdout + reloaded.stderr
    assert_hidden(reloaded.stdout + reloaded.stderr)
    guarded.signal(signal.SIGHUP)
    wait_until(lambda: problem in guarded.log_text(), "the problem in the log")
    assert_hidden(guarded.log_text())
    listener = guarded.server["listeners"][0]
    status, text = guarded.ask("POST", "/debug/update_config", json.dumps({"type": "listener", "config": listener}))
    assert status == 400 and problem in json.loads(text)["error"]
    assert_hidden(text)


def test_a_controller_that_takes_over_hides_them_too(guarded: Dynamic) -> None:
    configure(guarded)
    (controller,) = guarded.pids("controller")
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: guarded.pids("controller") not in ([], [controller]), "another controller")
    guarded.wait_admin()
    text = guarded.ask("GET", "/api/v1/config_dump")[1]
    assert HIDDEN in text and '"address": "10.0.0.1"' in text
    assert_hidden(text)
