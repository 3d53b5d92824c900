import subprocess
import sys
from pathlib import Path

import pytest

from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue

SMALL = {"balancer": {"first": "fractions:Fraction", "second": "no_such_module:X"}, "codec": {}}


def test_a_name_is_imported_only_when_it_is_resolved() -> None:
    script = (
        "import sys, mosn_mp.plugin as p; before = 'fractions' in sys.modules;"
        f"found = p.Catalogue({SMALL!r}).resolve('balancer', 'first');"
        "mine = [m for m in sys.modules if m.startswith('mosn_mp.') and 'plugin' not in m]; print(before, found.__name__, mine)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "False Fraction ['mosn_mp.errors']\n"


def test_names_are_sorted_and_kinds_are_known() -> None:
    catalogue = Catalogue(SMALL)
    assert catalogue.names("balancer") == ("first", "second")
    assert catalogue.kinds() == ("balancer", "codec")


def test_a_name_can_be_added_once() -> None:
    catalogue = Catalogue(SMALL)
    catalogue.add("codec", "mine", "fractions:Fraction")
    catalogue.add("codec", "mine", "fractions:Fraction")
    assert catalogue.resolve("codec", "mine").__name__ == "Fraction"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="codec 'mine' is already listed as fractions:Fraction"):
        catalogue.add("codec", "mine", "decimal:Decimal")
    assert "mine" not in SMALL["codec"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("frst", "unknown balancer 'frst'; did you mean 'first'?"),
        ("other", "unknown balancer 'other'; there are first, second; your own is 'package.module:Class'"),
        ("second", "'no_such_module:X': there is no module 'no_such_module'; is its directory in python_path?"),
        ("xml.no_such:X", "'xml.no_such:X': there is no module 'xml.no_such'; is its directory in python_path?"),
        ("no_such.at.all:X", "'no_such.at.all:X': there is no module 'no_such'; is its directory in python_path?"),
    ],
)
def test_what_cannot_be_resolved_says_why(name: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Catalogue(SMALL).resolve("balancer", name)
    assert caught.value.problem == problem


def test_a_class_that_the_module_does_not_have_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"fractions.py has no 'Fractoin'; did you mean 'Fraction'\?"):
        Catalogue(SMALL).resolve("balancer", "fractions:Fractoin")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import no_such_thing_installed", "it imports 'no_such_thing_installed', which is not installed"),
        ("x = 1\nraise RuntimeError('nope')", "cannot be imported: RuntimeError: nope ({file}:2)"),
        ("def f(:", "cannot be imported: SyntaxError: invalid syntax ({file}:1)"),
    ],
)
def test_a_users_module_that_fails_is_an_error_of_the_configuration(
    tmp_path: Path, source: str, problem: str
) -> None:
    name = f"failing_{abs(hash(source))}"
    file = tmp_path / f"{name}.py"
    file.write_text(source)
    with pytest.raises(ConfigError) as caught:
        Catalogue(SMALL).resolve("balancer", f"{name}:X", [str(tmp_path)])
    assert problem.format(file=file, name=name) in caught.value.problem


def test_a_directory_of_the_user_cannot_hide_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "fractions.py").write_text("class Fraction: is_hidden = True")
    assert not hasattr(Catalogue(SMALL).resolve("balancer", "fractions:Fraction", [str(tmp_path)]), "is_hidden")
    assert str(tmp_path) not in sys.path
