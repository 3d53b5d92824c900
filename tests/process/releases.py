"""Programs to upgrade to."""

import stat
import sys
from pathlib import Path

from tests.process.program import ROOT


def script(directory: Path, text: str) -> str:
    """An executable that is to be the new program."""
    path = directory / "program"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def start_program(before: str = "") -> str:
    """A new release: *before* runs ahead of the real start."""
    return f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{before}\nfrom mosn_mp.cli import main\nmain()"


def other_layout(directory: Path) -> str:
    """A release whose counters and states are laid out in another way."""
    # Python imports it in every process of the new generation but the first, which may have another one already.
    patch = directory / "sitecustomize.py"
    patch.write_text(
        "from mosn_mp.observe.metrics import cells\nnext = cells.layout_number() + 1\ncells.layout_number = lambda: next\n"
    )
    return start_program(f"sys.path.insert(0, {str(directory)!r})\nexec(open({str(patch)!r}).read())")
