"""Checks the rules of the house that no ready-made tool knows: `python scripts/house [tree]`; exit 1 when one is broken."""

import sys
from pathlib import Path

import floors
import hot
import pages
import shape
from tree import Tree


def main() -> int:
    """Print what breaks the rules; 1 when anything is refused."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    tree = Tree(root)
    found = {*floors.find(tree), *shape.find(tree), *pages.find(tree), *hot.find(tree)}
    for finding in sorted(found, key=lambda f: (f.path, f.line, f.problem)):
        print(finding)
    return int(any(f.is_refused for f in found))


sys.exit(main())
