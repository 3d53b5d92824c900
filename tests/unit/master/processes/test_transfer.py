"""Which worker gives how many connections to which."""

from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.master.processes.transfer import even_out


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=40))
def test_no_two_differ_by_more_than_one_afterwards(counts: list[int]) -> None:
    after = list(counts)
    for giver, receiver, connections in even_out(counts):
        assert connections > 0
        after[giver] -= connections
        after[receiver] += connections
    assert sum(after) == sum(counts)
    assert min(after) >= 0
    assert max(after) - min(after) <= 1


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=40))
def test_nobody_both_gives_and_gets(counts: list[int]) -> None:
    moves = even_out(counts)
    assert not {move.giver for move in moves} & {move.receiver for move in moves}


def test_what_is_even_stays() -> None:
    assert even_out([3, 4, 3]) == []
    assert even_out([7]) == []
