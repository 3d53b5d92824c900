"""A controller that judges users' Python, and a worker that gets it."""

import sys
from pathlib import Path
from typing import Any

from mosn_mp.plugin import Catalogue, Edition, Sources

PLACES: dict[str, dict[str, str]] = {"codec": {}}


def judged(place: str, *directories: Path) -> tuple[Any, Sources]:
    """What a controller finds at *place*, and what travels."""
    catalogue = Catalogue(PLACES)
    found = catalogue.resolve("codec", place, [str(directory) for directory in directories])
    sources = catalogue.sources()
    catalogue.serve(Edition())
    sys.meta_path.remove(catalogue)
    return found, sources


def worker(sources: Sources) -> Catalogue:
    """The catalogue of another process that got *sources*."""
    catalogue = Catalogue(PLACES)
    catalogue.serve(catalogue.edition.successor(sources, is_sealed=True))
    return catalogue


def forget(directory: Path) -> None:
    """Delete every file that was judged."""
    for file in sorted(directory.rglob("*.py")):
        file.unlink()
