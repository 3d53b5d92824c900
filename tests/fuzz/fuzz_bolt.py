"""Fuzzes the bolt codec: `python tests/fuzz/fuzz_bolt.py --inputs 10000000 [--seed N]`.

Compiles bolt_mutator.py (what is checked is said there) into a temporary folder, runs it on the wire samples and prints what came
of it: inputs per second, how many were refused and why, and the memory before and after.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.codec.bolt.codec import BoltCodec  # noqa: E402
from mosn_mp.codec.bolt.limits import BoltLimits  # noqa: E402
from mosn_mp.codec.http1.codec import Http1Codec  # noqa: E402
from mosn_mp.codec.http1.limits import Http1Limits  # noqa: E402
from mosn_mp.errors import Reason  # noqa: E402
from tests.contract.bolt_frames import ANSWER, ANSWER_V2_CRC, BEAT, BEAT_ANSWER, V1, V2, V2_CRC, block  # noqa: E402
from tests.contract.codec_kit import sections, to_wire  # noqa: E402
from tests.fuzz.build_mutator import compiled, resident_kib, run_command  # noqa: E402

BATCH = 10_000
VALID_WEIGHT = 3  # most inputs should get past the fixed part before something is wrong
FRAMES = (V1, V2, V2_CRC, ANSWER, ANSWER_V2_CRC, BEAT, BEAT_ANSWER)

# What attacks and accidents are made of, beside the samples.
WORDS = [
    *(
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x7f\xff\xff\xff",
        b"\x80\0\0\0",
        b"\x7f\xff",
        b"\x80\0",
        b"\0\0\0\1",
        b"GET / HTTP/1.1\r\n",
    ),
    *(part for frame in FRAMES for part in frame.parts() if part),
    *(
        block([(name, b"v\r\nX: y")])
        for name in (b"x-mosn-path", b"x-mosn-method", b"x-mosn-host", b"Host", b"Connection", b"a b")
    ),
    *(block([(name, None), (None, name)]) for name in (b"service", b"sofa_head_method_name")),
]


def samples(suffix: str) -> list[bytes]:
    """The wire bytes of all short samples of a kind."""
    folder = ROOT / "tests/wire"
    paths = sorted(folder.glob(f"bolt*/invalid/*{suffix}")) + VALID_WEIGHT * sorted(folder.glob(f"bolt*/valid/*{suffix}"))
    wires = [to_wire(sections(path)["wire"]) for path in paths]
    return [wire for wire in wires if 0 < len(wire) < 1000]


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs, two thirds of them requests; the report, a line each. AssertionError shows the input that failed."""
    with tempfile.TemporaryDirectory() as folder:
        mutator = compiled("bolt_mutator", Path(folder))
        limits = BoltLimits(max_frame=2048, max_head_bytes=1024, max_fields=12)
        http = Http1Limits()
        lines: list[str] = []
        before = 0
        for kind, count, suffix in (("requests", inputs * 2 // 3, ".req"), ("responses", inputs // 3, ".res")):
            codecs = (BoltCodec(0, limits), BoltCodec(1, limits), Http1Codec(0, http), Http1Codec(1, http))
            fuzzer = mutator.Fuzzer(seed, samples(suffix), WORDS, *codecs)
            fuzzer.run(min(count, BATCH), suffix == ".res")
            before = before or resident_kib()
            began = time.perf_counter()
            for done in range(BATCH, count, BATCH):
                fuzzer.run(min(BATCH, count - done), suffix == ".res")
            rate = max(count - BATCH, 0) / (time.perf_counter() - began)
            ends = ", ".join(f"{Reason(i).name} {n:,}" for i, n in enumerate(fuzzer.reason_counts()) if n)
            lines.append(f"{kind}: {fuzzer.inputs:,} inputs, {fuzzer.bytes_read:,} bytes, {fuzzer.heads:,} heads, {rate:,.0f}/s")
            lines.append(f"  ended with: {ends}; {fuzzer.converted:,} heads also written as HTTP/1.1")
        lines.append(f"memory: {before:,} KiB after the first {BATCH:,} inputs, {resident_kib():,} KiB at the end")
        return lines


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
