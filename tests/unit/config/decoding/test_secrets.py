"""What a plug-in's Config marks as secret is in no problem, no dump and no repr, however wrong the configuration is."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from mosn_mp.config.decoding.decode import Decoder
from mosn_mp.config.decoding.plans import Secret
from mosn_mp.config.decoding.secrets import REDACTED, holds_secrets, redacted
from mosn_mp.config.problems import Findings, path_text

HIDDEN = "hunter2-hunter2"


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: Annotated[str, Secret()]


class Tree(Struct, frozen=True):
    leaf: Annotated[str, Secret()] = ""
    branches: tuple["Tree", ...] = ()


class VaultConfig(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    address: str = ""
    token: Annotated[str, Secret] | None = None
    limited: Annotated[str, Meta(min_length=4, max_length=20, pattern="^[a-z0-9-]*$"), Secret()] = "four"
    pin: Annotated[int, Meta(le=9999), Secret()] = 0
    wait: Annotated[float, Meta(extra={"unit": "duration"}), Secret()] = 0.0
    old_keys: tuple[Annotated[str, Secret()], ...] = ()
    all_keys: Annotated[list[str], Secret()] = []
    by_name: dict[str, Annotated[str, Secret()]] = {}
    anything: Annotated[dict[str, Any], Secret()] = {}
    account: Account | None = None
    accounts: tuple[Account, ...] = ()
    pair: tuple[int, Annotated[str, Secret()]] | None = None
    either: Annotated[str, Secret()] | list[int] | None = None
    kind: Annotated[Literal["a", "b"], Secret()] = "a"
    tree: Tree = Tree()
    plain: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.token is not None and "bad" in self.token:
            raise ValueError(f"the token {self.token} ({self.token!r}) is bad, and {self.by_name} are worse")


KEYS = [key.replace("_", "-") for key in VaultConfig.__struct_fields__]


def decode(value: object) -> tuple[Any, Findings]:
    findings = Findings()
    return Decoder(findings).decode_struct(VaultConfig, value, ("config",)), findings


def assert_hidden(findings: Findings) -> None:
    for finding in findings.errors:
        assert HIDDEN not in finding.problem + finding.value + finding.suggestion, finding


SHAPES = st.recursive(
    st.just(HIDDEN) | st.just(f"-{HIDDEN}- " * 3) | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*KEYS, "password", "name", "leaf", "branches", "passwort"]), inner, max_size=3),
    max_leaves=8,
)
# Only what stands where no secret belongs may be shown.
SECRET_KEYS = [key for key in KEYS if key not in ("address", "plain")]
NOWHERE_PLAIN = st.dictionaries(st.sampled_from([*SECRET_KEYS, "tokem", "x"]), SHAPES)


def without_plain(value: object) -> object:
    """*value* without the texts that the types call plain: names of accounts."""
    if isinstance(value, dict):
        return {key: without_plain(inner) for key, inner in value.items() if key != "name"}
    return [without_plain(item) for item in value] if isinstance(value, list) else value


@given(NOWHERE_PLAIN | SHAPES.filter(lambda value: not isinstance(value, dict)))
def test_no_mistake_shows_a_secret(value: object) -> None:
    value = without_plain(value)
    made, findings = decode(value)
    assert_hidden(findings)
    if not findings.errors:
        assert HIDDEN not in repr(made)
    assert HIDDEN not in str(redacted(VaultConfig, value))


@pytest.mark.parametrize(
    ("given_", "problem"),
    [
        ({"token": 12345}, "config.token: expected a text, got a number"),
        ({"tokem": HIDDEN}, "config.tokem: unknown key"),
        ({"limited": "abc"}, "config.limited: too short; the least is 4"),
        ({"limited": HIDDEN + "_"}, "config.limited: this is not what it has to be"),
        ({"pin": 123456}, f"config.pin: {REDACTED} is too large; the most is 9999"),
        ({"wait": HIDDEN}, "not a duration"),
        ({"old-keys": HIDDEN}, "config.old-keys: expected a list, got a text"),
        ({"old-keys": [HIDDEN, 7]}, "config.old-keys[1]: expected a text, got a number"),
        ({"account": {"name": HIDDEN}}, "config.account: 'password' is missing"),
        ({"account": [HIDDEN]}, "config.account: expected an object, got a list"),
        ({"pair": [HIDDEN, 1]}, "config.pair"),
        ({"kind": HIDDEN}, f"config.kind: unknown value {REDACTED}"),
        ({"address": 5}, "config.address: expected a text, got 5"),
        ({"plain": ["shown"]}, 'config.plain[0]: expected a whole number, got "shown"'),
    ],
)
def test_a_problem_says_what_is_wrong_and_not_what_stood_there(given_: dict[str, Any], problem: str) -> None:
    _, findings = decode(given_)
    (finding,) = findings.errors
    assert problem in f"{path_text(finding.path)}: {finding.problem}"
    assert_hidden(findings)


def test_what_the_config_says_of_itself_is_said_without_secrets() -> None:
    _, findings = decode({"token": "a bad one", "by-name": {"x": HIDDEN}})
    (finding,) = findings.errors
    assert finding.problem.startswith(f"the token {REDACTED} ({REDACTED}) is bad, and {{'x': {REDACTED}}} are worse (")


def test_a_secret_is_the_text_that_it_is_but_for_its_repr() -> None:
    made, findings = decode({"token": HIDDEN, "old-keys": [HIDDEN], "account": {"name": "ann", "password": HIDDEN}})
    assert findings.errors == []
    assert made.token == HIDDEN and made.token.encode() == HIDDEN.encode() and f"{made.token}" == HIDDEN
    assert hash(made.token) == hash(HIDDEN) and made.old_keys == (HIDDEN,) and isinstance(made.token, str)
    assert HIDDEN not in repr(made) and "ann" in repr(made)


def test_a_dump_shows_all_but_secrets() -> None:
    value = {
        "address": "10.0.0.1", "token": HIDDEN, "old-keys": [HIDDEN], "all-keys": [HIDDEN], "by-name": {"x": HIDDEN},
        "anything": {"deep": [HIDDEN]}, "accounts": [{"name": "ann", "password": HIDDEN}], "pair": [1, HIDDEN],
        "either": HIDDEN, "tree": {"leaf": HIDDEN, "branches": [{"leaf": HIDDEN}]}, "plain": [1], "old-key": HIDDEN,
    }  # fmt: skip
    assert redacted(VaultConfig, value) == {
        "address": "10.0.0.1", "token": REDACTED, "old-keys": [REDACTED], "all-keys": REDACTED, "by-name": {"x": REDACTED},
        "anything": REDACTED, "accounts": [{"name": "ann", "password": REDACTED}], "pair": REDACTED, "either": REDACTED,
        "tree": {"leaf": REDACTED, "branches": [{"leaf": REDACTED}]}, "plain": [1], "old-key": REDACTED,
    }  # fmt: skip
    assert value["token"] == HIDDEN


def test_types_tell_whether_they_hold_secrets() -> None:
    assert holds_secrets(VaultConfig) and holds_secrets(Tree) and holds_secrets(dict[str, list[Account]])
    assert not holds_secrets(dict[str, list[int]]) and not holds_secrets(Literal["Secret"]) and not holds_secrets(Any)
