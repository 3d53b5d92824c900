"""Documents name only what exists: files, links, and settings of the scripts."""

import re
from collections.abc import Iterator
from pathlib import Path

from tree import Finding, Tree

# A path of this project as written in a page: `scripts/demo`, conf/demo.json, docs/filters.md#order.
MENTION = re.compile(r"(?<![\w/.$-])(?:scripts|conf|docs|loadtest|tests|mosn_mp|systemd)/[\w./*-]*[\w*]")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def find(tree: Tree) -> Iterator[Finding]:
    """Every path and link in a page that leads nowhere."""
    for path, text in tree.documents:
        for number, line in enumerate(text.splitlines(), 1):
            for match in MENTION.finditer(line):
                if not exists(tree.root, match[0]):
                    yield Finding(path, number, f"{match[0]} does not exist")
            for match in LINK.finditer(line):
                if not exists(tree.root / path.parent, match[1]):
                    yield Finding(path, number, f"the link {match[1]} leads nowhere")


def exists(root: Path, mention: str) -> bool:
    """Whether *mention*, which may hold *, names a file or folder under *root*."""
    return any(root.glob(mention)) if "*" in mention else (root / mention).exists()
