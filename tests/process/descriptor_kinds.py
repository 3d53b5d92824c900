"""What the descriptors of processes are, told apart without the numbers of a run."""

import os
import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

LOOKS = 20


def descriptor_kinds(names: Mapping[int, str]) -> dict[str, Counter[str]]:
    """What each process of *names* (by pid) has open, once the command that asked for the pids has left."""
    found: dict[str, Counter[str]] = {}
    for _ in range(LOOKS):
        before, found = found, {name: Counter(map(kind_of, Path(f"/proc/{pid}/fd").iterdir())) for pid, name in names.items()}
        if found == before:
            break
        time.sleep(0.2)
    return found


def kind_of(link: Path) -> str:
    """What a descriptor is."""
    try:
        return re.sub(r"[0-9a-f]{4,}|\d+", "N", os.readlink(link))
    except FileNotFoundError:
        return "a descriptor that was closed meanwhile"
