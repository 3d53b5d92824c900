"""Fuzzes the bolt codec: `python tests/fuzz/fuzz_bolt.py --inputs 10000000 [--seed N]`.

Compiles bolt_mutator.py (what is checked is said there) into a temporary folder, runs it on the wire samples and prints what came
of it: inputs per second, how many were refused and why, and the memory before and after.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.codec.bolt.codec import BoltCodec  # noqa: E402
from mosn_mp.codec.bolt.limits import BoltLimits  # noqa: E402
from mosn_mp.codec.http1.codec import Http1Codec  # noqa: E402
from mosn_mp.codec.http1.limits import Http1Limits  # noqa: E402
from tests.contract.bolt_frames import ANSWER, ANSWER_V2_CRC, BEAT, BEAT_ANSWER, V1, V2, V2_CRC, block  # noqa: E402
from tests.fuzz.build_mutator import run_command  # noqa: E402
from tests.fuzz.codec_fuzz import fuzz_both_sides, samples  # noqa: E402

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


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    limits = BoltLimits(max_frame=2048, max_head_bytes=1024, max_fields=12)
    http = Http1Limits()

    def make(mutator: ModuleType, suffix: str) -> Any:
        codecs = (BoltCodec(0, limits), BoltCodec(1, limits), Http1Codec(0, http), Http1Codec(1, http))
        return mutator.Fuzzer(seed, samples("bolt*", suffix, VALID_WEIGHT), WORDS, *codecs)

    return fuzz_both_sides("bolt_mutator", inputs, make, lambda fuzzer: f"; {fuzzer.converted:,} heads also written as HTTP/1.1")


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
