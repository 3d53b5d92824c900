"""Fuzzes the admin API: `python tests/fuzz/fuzz_admin.py --inputs 1000000 [--seed N]`.

Three kinds of clients send mutated requests to a real AdminConnection, in pieces: strangers, who may change nothing; processes by
the Unix socket, who may; and those whose bodies are judged as changes of a real configuration. Whatever they send is answered by
whole HTTP/1.1 responses, none of which is a 500, or by a close.
"""

import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mosn_mp.admin.access import Caller, tcp_caller  # noqa: E402
from mosn_mp.admin.api import AdminApi  # noqa: E402
from mosn_mp.admin.connection import AdminConnection, AdminLimits, socket  # noqa: E402
from mosn_mp.config.load import judge  # noqa: E402
from mosn_mp.config.problems import Findings  # noqa: E402
from mosn_mp.controller.edits import EDITS, check_edit  # noqa: E402
from tests.fuzz.admin_inputs import (  # noqa: E402
    BODIES,
    EDIT_BODIES,
    EDIT_WORDS,
    HEADERS,
    HOSTS,
    JSON_TYPE,
    LINES,
    METHODS,
    PATHS,
    TREE,
    WORDS,
    Source,
)
from tests.fuzz.build_mutator import resident_kib, run_command  # noqa: E402

RESPONSE = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[!-9;-~]+: [^\r\n\x00]*\r\n)*)\r\n")
LENGTH = re.compile(rb"(?i)content-length: (\d+)\r\n")


class Wire:
    """The client's side of a socket: what it sends in pieces, then the end or a reset; what it was told."""

    def __init__(self, pieces: list[bytes], is_reset: bool) -> None:
        self._pieces = pieces
        self._is_reset = is_reset
        self.said = b""

    def recv(self, _: int) -> bytes:
        """The next piece."""
        if self._pieces:
            return self._pieces.pop(0)
        if self._is_reset:
            raise ConnectionResetError
        return b""

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.said += data

    def shutdown(self, _: int) -> None:
        """Nothing follows."""


class Fuzzer:
    """Makes inputs, and looks what comes of them."""

    def __init__(self, seed: int) -> None:
        findings = Findings()
        config = judge(TREE, "/nowhere/fuzz.json", findings)
        assert config is not None, findings.errors
        self._config = config
        self._random = random.Random(seed)
        self.source = Source(config)
        self._api = AdminApi(self.source)
        self.statuses: Counter[int] = Counter()
        self.inputs = 0

    def run(self, count: int) -> None:
        """*count* inputs: of ten, six of strangers, three by the Unix socket, one change."""
        for _ in range(count):
            self.inputs += 1
            kind = self._random.randrange(10)
            if kind == 9:
                self._edit()
            else:
                self._talk(is_trusted=kind > 5)

    def _talk(self, is_trusted: bool) -> None:
        pick = self._random
        text = b"".join(self._request() for _ in range(pick.choice((1, 1, 1, 2, 3))))
        if pick.random() < 0.4:
            text = self._mutated(text, WORDS)
        cuts = sorted(pick.randrange(len(text) + 1) for _ in range(pick.choice((0, 0, 1, 3))))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b]
        wire = Wire(pieces, pick.random() < 0.1)
        caller = Caller("uid 0", is_local=True, is_trusted=True) if is_trusted else tcp_caller("10.0.0.9", 5000, "10.0.0.1")
        before = self.source.done
        limits = AdminLimits(head_bytes=2048, body_bytes=4096)
        connection = AdminConnection(self._api, cast("socket", wire), caller, limits, lambda stage: None)
        try:
            connection.serve()
        except ConnectionResetError:
            self.statuses[0] += 1
        except Exception as error:
            raise AssertionError(f"{error!r}: input {text!r}, cut at {cuts}, trusted {is_trusted}") from error
        if self.source.done != before and not is_trusted:
            raise AssertionError(f"a stranger changed something: input {text!r}")
        self._read(wire.said, text)

    def _read(self, said: bytes, text: bytes) -> None:
        """Count the responses in *said*, which are whole, and none of which says that we failed."""
        at = 0
        while at < len(said):
            found = RESPONSE.match(said, at)
            if found is None or found[1] == b"500":
                raise AssertionError(f"answered by {said[at:]!r}: input {text!r}")
            at = found.end()
            length = LENGTH.search(found[2])
            is_bodyless = b"HEAD" in text and (at == len(said) or said.startswith(b"HTTP/1.1 ", at))  # no body of ours begins so
            if length is not None and not is_bodyless:
                at += int(length[1])
            self.statuses[int(found[1])] += 1
        if at != len(said):
            raise AssertionError(f"answered by half a response, {said!r}: input {text!r}")

    def _request(self) -> bytes:
        pick = self._random
        path = "/metrics" if pick.random() < 0.1 else f"/debug/{pick.choice(['update_config', 'update_route'])}"
        if pick.random() < 0.7:
            path = f"/api/v1/{pick.choice(PATHS)}"
        method = pick.choice(METHODS if pick.random() < 0.2 else METHODS[:2])
        lines = [pick.choice(LINES if pick.random() < 0.1 else LINES[:1]) % (method, path.encode())]
        lines.append(b"Host: " + pick.choice(HOSTS))
        if pick.random() < 0.8:
            lines.append(JSON_TYPE)
        if pick.random() < 0.4:
            lines += pick.sample(HEADERS, pick.choice((1, 1, 2)))
        body = b"" if method == b"GET" else self._change() if path.startswith("/debug") else pick.choice(BODIES)
        lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _change(self) -> bytes:
        body = json.dumps(self._random.choice(EDIT_BODIES)).encode()
        return body if self._random.random() < 0.2 else self._mutated(body, EDIT_WORDS)

    def _mutated(self, text: bytes, words: list[bytes]) -> bytes:
        pick = self._random
        for _ in range(pick.choice((1, 1, 2, 5))):
            a, b = sorted((pick.randrange(len(text) + 1), pick.randrange(len(text) + 1)))
            if pick.random() < 0.5:
                b = min(b, a + pick.randrange(4))
            word, byte = pick.choice(words), bytes([pick.randrange(256)])
            middle = pick.choice((b"", text[a:b] * 2, word, word + text[a:b], byte))
            text = text[:a] + middle + text[b:]
        return text

    def _edit(self) -> None:
        """A change that is judged as one of a real configuration; it may be refused, and nothing else."""
        edit = self._random.choice(list(EDITS))
        body = self._change()
        try:
            report = check_edit(self._config, edit, body, "/nowhere/fuzz.json")
            problems = "\n".join(map(str, report.errors)).encode()
        except Exception as error:
            raise AssertionError(f"{error!r}: {edit} {body!r}") from error
        if (report.config is None) != bool(problems):
            raise AssertionError(f"neither a configuration nor a problem: {edit} {body!r}")
        self.source.problems[bool(problems)] += 1


def fuzz(inputs: int, seed: int) -> list[str]:
    """Run *inputs* inputs; the report, a line each. AssertionError shows the input that failed."""
    fuzzer = Fuzzer(seed)
    fuzzer.run(min(inputs, 10_000))
    before = resident_kib()
    began = time.perf_counter()
    fuzzer.run(max(inputs - 10_000, 0))
    rate = max(inputs - 10_000, 0) / (time.perf_counter() - began)
    problems = fuzzer.source.problems
    ends = ", ".join(f"{status or 'reset'} {count:,}" for status, count in sorted(fuzzer.statuses.items()))
    return [
        f"admin: {fuzzer.inputs:,} inputs, {rate:,.0f}/s; answered with: {ends}",
        f"  changes judged: {problems.total():,}, refused: {problems[True]:,}; done by the Unix socket: {fuzzer.source.done:,}",
        f"memory: {before:,} KiB after the first 10,000 inputs, {resident_kib():,} KiB at the end",
    ]


if __name__ == "__main__":
    run_command(__doc__.splitlines()[0], fuzz)
