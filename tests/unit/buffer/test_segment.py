"""Segments: sealed in size, without a name, taking memory only where they were written."""

import fcntl
import gc
import mmap
import os
import resource
import subprocess
import sys

import pytest

from mosn_mp.buffer.segment import PAGE, Segment, Shape

MB = 1 << 20
SHAPE = Shape("test", 3, 8 * PAGE, 2, (5, 6))


def test_a_segment_is_zeroed_and_has_its_shape() -> None:
    segment = Segment.create(SHAPE)
    assert (segment.size, segment.shape) == (8 * PAGE, SHAPE)
    assert not any(segment.view)
    segment.close()


def test_no_name_is_left_behind() -> None:
    before = os.listdir("/dev/shm")
    segment = Segment.create(SHAPE)
    assert os.listdir("/dev/shm") == before
    assert os.readlink(f"/proc/self/fd/{segment.fd}") == "/memfd:mosn_mp-test (deleted)"
    segment.close()


def test_an_attached_segment_shares_bytes_with_the_one_that_made_it() -> None:
    made = Segment.create(SHAPE)
    attached = Segment.attach(os.dup(made.fd), SHAPE)
    made.view[100:103] = b"abc"
    assert bytes(attached.view[100:103]) == b"abc"
    attached.close()
    assert bytes(made.view[100:103]) == b"abc"
    made.close()


@pytest.mark.parametrize("size", [0, PAGE, 100 * MB])
def test_nobody_who_has_a_segment_can_change_its_size(size: int) -> None:
    segment = Segment.create(SHAPE)
    with pytest.raises(PermissionError):
        os.ftruncate(segment.fd, size)
    segment.close()


def test_nobody_can_seal_the_others_out() -> None:
    segment = Segment.create(SHAPE)
    with pytest.raises(PermissionError):
        fcntl.fcntl(segment.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_FUTURE_WRITE if hasattr(fcntl, "F_SEAL_FUTURE_WRITE") else 0x10)
    segment.close()


def test_attach_refuses_another_size_and_a_size_that_can_change() -> None:
    made = Segment.create(SHAPE)
    with pytest.raises(ValueError, match=f"holds {8 * PAGE} bytes"):
        Segment.attach(made.fd, SHAPE._replace(size=4 * PAGE))
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(loose, 8 * PAGE)
    with pytest.raises(ValueError, match="no sealed size"):
        Segment.attach(loose, SHAPE)
    read, write = os.pipe()
    with pytest.raises(ValueError, match="no memfd"):
        Segment.attach(read, SHAPE)
    for fd in (loose, read, write):
        os.close(fd)
    made.close()


def test_a_segment_of_another_shape_is_refused() -> None:
    segment = Segment.create(SHAPE)
    with pytest.raises(ValueError, match="expected"):
        segment.expect(SHAPE._replace(layout=4))
    assert segment.expect(SHAPE) is segment
    segment.close()


def test_memory_is_taken_where_it_is_written_and_looking_takes_none() -> None:
    segment = Segment.create(Shape("huge", 1, 1 << 40))
    assert segment.used(0, segment.size) == []
    for at in (5 * PAGE, 6 * PAGE, 1 << 39):
        segment.buffer[at] = 1
    assert segment.used(0, segment.size) == [(5 * PAGE, 7 * PAGE), (1 << 39, (1 << 39) + PAGE)]
    assert segment.used(6 * PAGE, 1 << 39) == [(6 * PAGE, 7 * PAGE)]
    assert os.fstat(segment.fd).st_blocks * 512 == 3 * PAGE
    segment.drop(5 * PAGE, 1 << 40)
    assert (segment.used(0, segment.size), os.fstat(segment.fd).st_blocks) == ([], 0)
    assert segment.buffer[5 * PAGE] == 0
    segment.close()


def test_a_core_dump_has_none_of_it() -> None:
    segment = Segment.create(Shape("undumped", 1, 16 * MB))
    with open("/proc/self/smaps", encoding="utf-8") as file:
        found = file.read().partition("mosn_mp-undumped")[2].partition("VmFlags:")[2].splitlines()[0].split()
    assert "dd" in found
    segment.close()


@pytest.mark.unsanitized
def test_a_limit_of_the_process_is_named() -> None:
    program = (
        "import resource; from mosn_mp.buffer.segment import Segment, Shape\n"
        "resource.setrlimit(resource.RLIMIT_{0}, (1 << 30, 1 << 30))\n"
        "try: Segment.create(Shape('big', 1, 1 << 40))\n"
        "except OSError as e: print(e)"
    )
    for limit in ("AS", "FSIZE"):
        done = subprocess.run([sys.executable, "-c", program.format(limit)], capture_output=True, text=True, check=True)
        assert f"RLIMIT_{limit}" in done.stdout, done


def test_a_closed_segment_gives_its_descriptor_back_once() -> None:
    segment = Segment.create(SHAPE)
    fd = segment.fd
    segment.close()
    segment.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_segment_that_cannot_be_leaves_no_descriptor() -> None:
    gc.collect()  # what another test left behind is not closed in between
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MB, hard))
    try:
        with pytest.raises(OSError, match="RLIMIT_FSIZE"):
            Segment.create(Shape("big", 1, 2 * MB))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir("/proc/self/fd") == before


def test_who_only_looks_can_neither_write_nor_map_it_anew_to_write() -> None:
    made = Segment.create(SHAPE)
    made.view[7] = 9
    looking = Segment.attach(made.open_to_look(), SHAPE, is_read_only=True)
    assert looking.view[7] == 9 and looking.view.readonly
    with pytest.raises(PermissionError):
        mmap.mmap(looking.fd, SHAPE.size, access=mmap.ACCESS_WRITE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(looking.fd, b"x", 0)
    with pytest.raises(ValueError, match="'test' is mapped read-only"):
        looking.check_writable()
    assert os.fstat(made.fd).st_mode & 0o777 == 0o600  # so that another user cannot open it anew either
    looking.close()
    made.close()
