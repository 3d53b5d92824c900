"""What the house rules look at: the files of one project tree, their parsed text, and the settings in its setup.cfg."""

import ast
import configparser
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "mosn_mp"
CODE = (PACKAGE, "scripts", "tests", "loadtest")


@dataclass(frozen=True)
class Finding:
    """One breach: where, what, and whether it is refused or only warned about."""

    path: Path
    line: int
    problem: str
    is_refused: bool = True

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.problem}" if self.is_refused else f"{place}: warning: {self.problem}"


@dataclass
class Source:
    """One .py or .pxd file; *path* is relative to the tree."""

    path: Path
    text: str

    @property
    def module(self) -> str:
        """Its dotted name (`mosn_mp.codec` for mosn_mp/codec/__init__.py)."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        """What a relative import in it starts from."""
        return ".".join(self.path.parts[:-1])

    @cached_property
    def syntax(self) -> ast.Module:
        """The syntax tree of a .py file."""
        return ast.parse(self.text, str(self.path))


@dataclass
class Tree:
    """A project tree."""

    root: Path
    settings: configparser.ConfigParser = field(default_factory=lambda: configparser.ConfigParser(interpolation=None))

    def __post_init__(self) -> None:
        self.settings.read(self.root / "setup.cfg")

    @cached_property
    def sources(self) -> list[Source]:
        """Every .py and .pxd file of the product, its scripts and its tests."""
        paths = sorted(p for top in CODE for suffix in ("py", "pxd") for p in (self.root / top).rglob(f"*.{suffix}"))
        return [Source(p.relative_to(self.root), p.read_text()) for p in paths]

    @cached_property
    def documents(self) -> list[tuple[Path, str]]:
        """Every page that a user reads: path and text."""
        paths = sorted([*self.root.glob("*.md"), *(self.root / "docs").rglob("*.md")])
        return [(p.relative_to(self.root), p.read_text()) for p in paths]

    def product(self, suffix: str) -> list[Source]:
        """The files of the product itself that end in *suffix*."""
        return [s for s in self.sources if s.path.parts[0] == PACKAGE and s.path.suffix == suffix]

    def limit(self, key: str) -> int:
        """A figure of the [house] section."""
        return int(self.settings["house"][key])

    def lines(self, section: str, key: str) -> list[str]:
        """The non-empty lines of a setting; empty when it is not there."""
        value = self.settings.get(section, key, fallback="")
        return [line.strip() for line in value.splitlines() if line.strip()]
