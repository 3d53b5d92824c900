"""A run of a codec's fuzzer over its wire samples, requests and responses, and the report of it."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.errors import Reason  # noqa: E402
from tests.contract.codec_kit import sections, to_wire  # noqa: E402
from tests.fuzz.build_mutator import compiled, resident_kib  # noqa: E402

BATCH = 10_000


def samples(folders: str, suffix: str, valid_weight: int) -> list[bytes]:
    """The wire bytes of all short samples of a kind under tests/wire/*folders*; the valid ones *valid_weight* times."""
    wire = ROOT / "tests/wire"
    paths = sorted(wire.glob(f"{folders}/invalid/*{suffix}")) + valid_weight * sorted(wire.glob(f"{folders}/valid/*{suffix}"))
    wires = [to_wire(sections(path)["wire"]) for path in paths]
    return [text for text in wires if 0 < len(text) < 1000]


def fuzz_both_sides(
    name: str, inputs: int, make: Callable[[ModuleType, str], Any], remark: Callable[[Any], str] = lambda fuzzer: ""
) -> list[str]:
    """Run *inputs* inputs, two thirds of them requests, through what *make* makes of the module *name* and a suffix of samples.

    The report, a line each; *remark* ends one of a side. AssertionError shows the input that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        mutator = compiled(name, Path(folder))
        lines: list[str] = []
        before = 0
        for kind, count, suffix in (("requests", inputs * 2 // 3, ".req"), ("responses", inputs // 3, ".res")):
            fuzzer = make(mutator, suffix)
            fuzzer.run(min(count, BATCH), suffix == ".res")
            before = before or resident_kib()
            began = time.perf_counter()
            for done in range(BATCH, count, BATCH):
                fuzzer.run(min(BATCH, count - done), suffix == ".res")
            rate = max(count - BATCH, 0) / (time.perf_counter() - began)
            ends = ", ".join(f"{Reason(i).name} {n:,}" for i, n in enumerate(fuzzer.reason_counts()) if n)
            lines.append(f"{kind}: {fuzzer.inputs:,} inputs, {fuzzer.bytes_read:,} bytes, {fuzzer.heads:,} heads, {rate:,.0f}/s")
            lines.append(f"  ended with: {ends}{remark(fuzzer)}")
        lines.append(f"memory: {before:,} KiB after the first {BATCH:,} inputs, {resident_kib():,} KiB at the end")
        return lines
