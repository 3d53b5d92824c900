"""Segments: unlinked at once, self-describing, bounded by what the tmpfs has left."""

import os

import pytest

from mosn_mp.buffer.segment import HEADER_BYTES, MAGIC, Segment, free_bytes


def test_a_segment_is_zeroed_rounded_to_pages_and_starts_with_its_header() -> None:
    segment = Segment.create("test", 5000, layout=3)
    assert segment.size == 8192
    assert not segment.is_capped
    view = segment.view
    assert bytes(view[:8]) == MAGIC
    assert not any(view[HEADER_BYTES:])
    view.release()
    segment.close()


def test_no_name_is_left_behind_in_shared_memory() -> None:
    segment = Segment.create("leftover", 4096)
    assert not [name for name in os.listdir("/dev/shm") if f"leftover-{os.getpid()}" in name]
    assert os.fstat(segment.fd).st_nlink == 0
    assert os.fstat(segment.fd).st_mode & 0o777 == 0o600
    segment.close()


def test_an_attached_segment_shares_bytes_with_the_one_that_made_it() -> None:
    made = Segment.create("shared", 4096, layout=7)
    attached = Segment.attach(os.dup(made.fd), made.size)
    assert (attached.kind, attached.layout, attached.size) == ("shared", 7, 4096)
    made.view[100:103] = b"abc"
    assert bytes(attached.view[100:103]) == b"abc"
    attached.close()
    assert bytes(made.view[100:103]) == b"abc"
    made.close()


def test_attach_refuses_a_descriptor_of_another_size_and_one_without_the_header() -> None:
    made = Segment.create("shared", 8192)
    with pytest.raises(ValueError, match="holds 8192 bytes"):
        Segment.attach(made.fd, 4096)
    made.view[:8] = b"\0" * 8
    with pytest.raises(ValueError, match="no mosn_mp segment"):
        Segment.attach(made.fd, 8192)
    made.close()


def test_a_segment_of_another_kind_or_layout_is_refused_by_name() -> None:
    segment = Segment.create("arena", 4096, layout=2)
    with pytest.raises(ValueError, match="'arena' layout 2, expected 'arena' layout 1"):
        segment.expect("arena", 1)
    with pytest.raises(ValueError, match="expected 'state'"):
        segment.expect("state", 2)
    assert segment.expect("arena", 2) is segment
    segment.close()


def test_a_segment_takes_at_most_half_of_the_free_shared_memory_and_says_so() -> None:
    free = free_bytes()
    segment = Segment.create("huge", free * 4, at_least=4096)
    assert segment.is_capped
    assert segment.size <= free * 0.6
    assert segment.requested >= free * 4
    segment.close()


def test_a_segment_that_does_not_fit_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(OSError, match="shm-size"):
        Segment.create("huge", free_bytes() * 4)


def test_a_segment_needs_a_short_kind() -> None:
    with pytest.raises(ValueError, match="kind"):
        Segment.create("x" * 17, 4096)


def test_a_closed_segment_gives_its_descriptor_back_once() -> None:
    segment = Segment.create("test", 4096)
    fd = segment.fd
    segment.close()
    segment.close()
    with pytest.raises(OSError):
        os.fstat(fd)
