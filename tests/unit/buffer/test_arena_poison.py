"""In a build with AddressSanitizer (scripts/test --sanitize) an access to a block that nobody uses ends the process."""

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "__asan_poison_memory_region"),
    reason="not a build with AddressSanitizer: scripts/test --sanitize",
)

# ctypes.memset is the C library's, which AddressSanitizer looks after as after that of compiled modules.
PROGRAM = """
import ctypes
from mosn_mp.buffer.arena import Arena, arena_shape
from mosn_mp.buffer.holdings import Holdings, holdings_shape
from mosn_mp.buffer.segment import Segment

holdings = Holdings(Segment.create(holdings_shape(1 << 20, 1)))
arena = Arena(Segment.create(arena_shape(1 << 20)), holdings, 0)
block = arena.take_block({size})
ctypes.memset(block, 1, {size})
print("filled", flush=True)
{act}
print("survived", flush=True)
"""


def run(size: int, act: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(size=size, act=act)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)


def test_a_block_may_be_filled_to_its_last_byte_again_and_again() -> None:
    done = run(16384, "arena.drop_block(block); block = arena.take_block(16384); ctypes.memset(block, 2, 16384)")
    assert (done.stdout, done.returncode) == ("filled\nsurvived\n", 0), done.stderr


@pytest.mark.parametrize("size", [4096, 16384, 65536])
def test_a_byte_behind_a_block_is_not_written_unseen(size: int) -> None:
    done = run(size, f"ctypes.memset(block + {size}, 1, 1)")
    assert done.stdout == "filled\n" and done.returncode
    assert "use-after-poison" in done.stderr


def test_a_block_that_was_given_back_is_not_read_unseen() -> None:
    done = run(4096, "arena.drop_block(block); ctypes.memmove((ctypes.c_char * 8)(), block, 8)")
    assert done.stdout == "filled\n" and done.returncode
    assert "use-after-poison" in done.stderr
