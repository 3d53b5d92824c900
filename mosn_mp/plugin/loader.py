"""Loads modules from text that was read before, and lets tracebacks show that text."""

import importlib.util
import linecache
from functools import lru_cache
from importlib.machinery import SourceFileLoader

from mosn_mp.plugin.source import Module


class SnapshotLoader(SourceFileLoader):
    """Loads a module from a text that was read before; no .pyc is read or written. `__file__` is where the text was."""

    def __init__(self, name: str, file: str, text: bytes) -> None:
        super().__init__(name, file)
        self._text = text

    def get_data(self, path: str) -> bytes:
        """The text, or a file of data beside it as it lies there now."""
        return self._text if path == self.path else super().get_data(path)

    def path_stats(self, path: str) -> dict[str, int]:
        """OSError: no time at which it changed, so that no .pyc is for it."""
        raise OSError(f"{path}: loaded from a snapshot")


def show_lines(module: Module) -> None:
    """Let tracebacks show the text that runs: by themselves they read what lies there now."""
    if module.text is not None:
        linecache.cache[module.file] = (len(module.text), None, _lines(module.text), module.file)


@lru_cache(maxsize=1024)
def _lines(text: bytes) -> list[str]:
    try:
        return importlib.util.decode_source(text).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):  # importing it will say so
        return []
