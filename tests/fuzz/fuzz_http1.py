"""Fuzzes the HTTP/1.1 codec: `python tests/fuzz/fuzz_http1.py --inputs 10000000 [--seed N]`.

Compiles http1_mutator.py (what is checked is said there) into a temporary folder, runs it on the wire samples and prints what
came of it: inputs per second, how many were refused and why, and the memory before and after.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VALID_WEIGHT = 6  # most inputs should get past the head before something is wrong
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.codec.http1.codec import Http1Codec  # noqa: E402
from mosn_mp.codec.http1.limits import Http1Limits  # noqa: E402
from tests.fuzz.build_mutator import run_command  # noqa: E402
from tests.fuzz.codec_fuzz import fuzz_both_sides, samples  # noqa: E402

# What attacks and accidents are made of, beside the lines of the samples.
WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b": ", b" ", b"\t", b"0\r\n\r\n", b"0\r\n", b"5\r\nhello\r\n", b"ffffffffffffffff\r\n"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"chunked", b"identity", b"close", b"keep-alive", b"upgrade", b"100-continue"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Host: b\r\n", b"h2c"),
    *(b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"TE: trailers\r\n"),
    *(b"Trailer: X\r\n", b"Connection: close\r\n", b"Connection: X-A\r\n", b"X-A: b\r\n", b"A" * 64),
    *(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b"http://a/", b"*", b"a:1", b"/../", b"%00", b"0x", b"+", b"-1", b"5, 5", b"18446744073709551616"),
]


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    limits = Http1Limits(max_head_bytes=4096, max_fields=20, max_uri_bytes=200, max_body=1000, max_trailer_bytes=300)
    wires = {suffix: samples("http1", suffix, VALID_WEIGHT) for suffix in (".req", ".res")}
    lines = {line + b"\r\n" for suffix in wires for wire in wires[suffix] for line in wire.split(b"\r\n")}
    words = [*WORDS, *sorted(lines)]  # in one order: a seed repeats its run

    def make(mutator: ModuleType, suffix: str) -> Any:
        return mutator.Fuzzer(seed, wires[suffix], words, Http1Codec(0, limits), Http1Codec(1, limits))

    return fuzz_both_sides("http1_mutator", inputs, make)


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
