"""How routes see a path: one route for all spellings, and no route for what servers read in different ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.route.path import path_view

PLAIN, VIEW, REPLACE, AMBIGUOUS = range(4)


@pytest.mark.parametrize(
    ("path", "how", "seen"),
    [
        (b"/", PLAIN, b"/"),
        (b"/a/b.c", PLAIN, b"/a/b.c"),
        (b"*", PLAIN, b"*"),
        (b"", PLAIN, b""),
        (b"/.well-known/x", VIEW, b"/.well-known/x"),
        (b"/..a/.b/...", VIEW, b"/..a/.b/..."),
        (b"/%61dm%69n", VIEW, b"/admin"),
        (b"/a%20b%2d%7E", VIEW, b"/a%20b-~"),
        (b"/a%e4", VIEW, b"/a%E4"),
        (b"/a%zz%", VIEW, b"/a%zz%"),
        (b"//a///b//", VIEW, b"/a/b/"),
        (b"/a%2Fb%5cc", VIEW, b"/a%2Fb%5Cc"),
        (b"/a\\b", VIEW, b"/a\\b"),
        (b"/a/../b", REPLACE, b"/b"),
        (b"/a/%2e%2E/b", REPLACE, b"/b"),
        (b"/a/./b/.", REPLACE, b"/a/b/"),
        (b"/a/b/..", REPLACE, b"/a/"),
        (b"/../../a", REPLACE, b"/a"),
        (b"/..", REPLACE, b"/"),
        (b"//a//..//b", REPLACE, b"/b"),
        (b"/a%00", AMBIGUOUS, None),
        (b"/public/..%2fadmin", AMBIGUOUS, None),
        (b"/public%2F..%2Fadmin", AMBIGUOUS, None),
        (b"/public/%2e%2e%5cadmin", AMBIGUOUS, None),
        (b"/public\\..\\admin", AMBIGUOUS, None),
        (b"/public/..;/admin", AMBIGUOUS, None),
        (b"/public/..;a=b/admin", AMBIGUOUS, None),
        (b"/public/.;/admin", AMBIGUOUS, None),
        (b"/a;b=..c/d%2F", VIEW, b"/a;b=..c/d%2F"),
    ],
)
def test_a_path_is_seen_as_servers_read_it(path: bytes, how: int, seen: bytes | None) -> None:
    found, view = path_view(path)
    assert found == how
    if seen is not None:
        assert view == seen


@given(
    st.lists(st.sampled_from([b"/", b".", b"..", b"a", b"%2e", b"%2F", b"%", b"\\", b";", b"%5c", b"%61", b"//"]), max_size=14)
)
def test_a_view_has_no_dot_segments_and_is_its_own_view(pieces: list[bytes]) -> None:
    path = b"/" + b"".join(pieces)
    how, seen = path_view(path)
    if how == AMBIGUOUS:
        return
    assert seen.startswith(b"/")
    assert not {b".", b".."} & set(seen.split(b"/"))
    assert len(seen) <= len(path)
    again, same = path_view(seen)
    # decoding may join a stray % with what follows; a second view must still never find a dot segment to resolve
    assert again != REPLACE or b"%" in path
    if b"%" not in seen:
        assert same == seen
