"""The directory of numbers: stable, released, taken again in order; and restored from what a master before knew."""

import pytest

from mosn_mp.master.state.directory import Directory, DirectoryFullError


def test_a_thing_keeps_its_number_however_often_and_in_whatever_order_it_is_asked_for() -> None:
    directory: Directory[str] = Directory(10)
    assert [directory.reserve(name) for name in ("a", "b", "a", "b")] == [1, 2, 1, 2]
    assert (directory.find("b"), directory.find("c")) == (2, 0)
    assert (len(directory), directory.end) == (2, 3)


def test_a_full_directory_is_an_error_that_names_the_thing_and_the_room() -> None:
    directory: Directory[tuple[str, str]] = Directory(2)
    directory.reserve(("a", "10.0.0.1:80"))
    with pytest.raises(DirectoryFullError, match=r"no room for \('a', '10.0.0.2:80'\): all of its 1 places are used"):
        directory.reserve(("a", "10.0.0.2:80"))
    assert len(directory) == 1


def test_numbers_are_used_again_and_the_one_free_longest_first() -> None:
    directory: Directory[str] = Directory(100)
    for name in "abcd":
        directory.reserve(name)
    for name in "cab":
        directory.release(name)
    assert [directory.reserve(name) for name in "wxyz"] == [3, 1, 2, 5]
    assert directory.find("a") == 0


def test_a_thing_that_comes_back_is_a_new_one() -> None:
    directory: Directory[str] = Directory(100)
    first = directory.reserve("a")
    directory.reserve("b")
    directory.release("b")
    directory.release("a")
    assert directory.reserve("a") != first


def test_a_range_without_anybody_is_known() -> None:
    directory: Directory[str] = Directory(100)
    for name in "abcdef":
        directory.reserve(name)
    directory.release("c")
    assert (directory.has_any(3, 4), directory.has_any(2, 4), directory.has_any(7, 50), directory.has_any(0, 1)) == (
        False, True, False, False,
    )  # fmt: skip


def test_a_restored_directory_goes_on_where_the_original_was() -> None:
    directory: Directory[str] = Directory.restore(100, [("a", 5), ("b", 2)])
    assert (directory.find("a"), directory.find("b"), directory.end) == (5, 2, 6)
    assert [directory.reserve(name) for name in "wxyz"] == [1, 3, 4, 6]


@pytest.mark.parametrize("numbers", [[("a", 0)], [("a", 10)], [("a", -1)], [("a", 1), ("b", 1)], [("a", 1), ("a", 2)]])
def test_numbers_that_cannot_be_are_refused(numbers: list[tuple[str, int]]) -> None:
    with pytest.raises(ValueError, match="given twice"):
        Directory.restore(10, numbers)
