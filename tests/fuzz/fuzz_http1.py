"""Fuzzes the HTTP/1.1 codec: `python tests/fuzz/fuzz_http1.py --inputs 10000000 [--seed N]`.

Compiles http1_mutator.py (what is checked is said there) into a temporary folder, runs it on the wire samples and prints what
came of it: inputs per second, how many were refused and why, and the memory before and after.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH = 10_000
VALID_WEIGHT = 6  # most inputs should get past the head before something is wrong
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.codec.http1.codec import Http1Codec  # noqa: E402
from mosn_mp.codec.http1.limits import Http1Limits  # noqa: E402
from mosn_mp.errors import Reason  # noqa: E402
from tests.contract.codec_kit import sections, to_wire  # noqa: E402
from tests.fuzz.build_mutator import compiled, resident_kib, run_command  # noqa: E402

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


def samples(suffix: str) -> list[bytes]:
    """The wire bytes of all short samples of a kind."""
    folder = ROOT / "tests/wire/http1"
    paths = sorted(folder.glob(f"invalid/*{suffix}")) + VALID_WEIGHT * sorted(folder.glob(f"valid/*{suffix}"))
    wires = [to_wire(sections(path)["wire"]) for path in paths]
    return [wire for wire in wires if 0 < len(wire) < 1000]


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs, two thirds of them requests; the report, a line each. AssertionError shows the input that failed."""
    with tempfile.TemporaryDirectory() as folder:
        mutator = compiled("http1_mutator", Path(folder))
        limits = Http1Limits(max_head_bytes=4096, max_fields=20, max_uri_bytes=200, max_body=1000, max_trailer_bytes=300)
        lines: list[str] = []
        words = [*WORDS, *{line + b"\r\n" for wire in samples(".req") + samples(".res") for line in wire.split(b"\r\n")}]
        before = 0
        for kind, count, suffix in (("requests", inputs * 2 // 3, ".req"), ("responses", inputs // 3, ".res")):
            fuzzer = mutator.Fuzzer(seed, samples(suffix), words, Http1Codec(0, limits), Http1Codec(1, limits))
            fuzzer.run(min(count, BATCH), suffix == ".res")
            before = before or resident_kib()
            began = time.perf_counter()
            for done in range(BATCH, count, BATCH):
                fuzzer.run(min(BATCH, count - done), suffix == ".res")
            rate = max(count - BATCH, 0) / (time.perf_counter() - began)
            ends = ", ".join(f"{Reason(i).name} {n:,}" for i, n in enumerate(fuzzer.reason_counts()) if n)
            lines.append(f"{kind}: {fuzzer.inputs:,} inputs, {fuzzer.bytes_read:,} bytes, {fuzzer.heads:,} heads, {rate:,.0f}/s")
            lines.append(f"  ended with: {ends}")
        lines.append(f"memory: {before:,} KiB after the first {BATCH:,} inputs, {resident_kib():,} KiB at the end")
        return lines


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
