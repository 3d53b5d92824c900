"""The decision of a rollout, message by message."""

from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.master.rollout.two_phase_commit import Phase, TwoPhaseCommit


def test_all_ready_commits_and_all_committed_is_done() -> None:
    rollout = TwoPhaseCommit(1, [10, 11])
    assert rollout.ready(10) is Phase.PREPARING
    assert rollout.ready(11) is Phase.COMMITTING
    assert rollout.committed(11) is Phase.COMMITTING
    assert rollout.committed(10) is Phase.DONE


def test_one_refusal_aborts_whatever_the_others_say() -> None:
    rollout = TwoPhaseCommit(1, [10, 11, 12])
    rollout.ready(10)
    assert rollout.refused(11, "no") is Phase.ABORTED
    assert rollout.ready(12) is Phase.ABORTED
    assert rollout.reason == "no"


def test_the_first_reason_stands() -> None:
    rollout = TwoPhaseCommit(1, [10, 11])
    rollout.refused(10, "first")
    rollout.refused(11, "second")
    assert rollout.reason == "first"


def test_a_worker_that_dies_while_it_prepares_refuses() -> None:
    rollout = TwoPhaseCommit(1, [10, 11])
    assert rollout.lost(10, "killed") is Phase.ABORTED
    assert rollout.reason == "killed"


def test_a_worker_that_dies_after_the_decision_is_not_waited_for() -> None:
    rollout = TwoPhaseCommit(1, [10, 11])
    rollout.ready(10)
    rollout.ready(11)
    rollout.committed(10)
    assert rollout.lost(11, "killed") is Phase.DONE
    assert rollout.reason == ""


def test_strangers_and_repetitions_change_nothing() -> None:
    rollout = TwoPhaseCommit(1, [10, 11])
    rollout.ready(99)
    assert rollout.refused(99, "no") is Phase.PREPARING
    rollout.ready(10)
    assert rollout.ready(10) is Phase.PREPARING
    assert rollout.waiting() == {11}


def test_without_workers_there_is_nothing_to_do() -> None:
    assert TwoPhaseCommit(1, []).phase is Phase.DONE


@given(st.lists(st.tuples(st.sampled_from(["ready", "refused", "committed", "lost"]), st.integers(1, 4)), max_size=30))
def test_it_commits_only_what_all_were_ready_for(events: list[tuple[str, int]]) -> None:
    rollout = TwoPhaseCommit(1, [1, 2, 3])
    ready: set[int] = set()
    for kind, pid in events:
        before = rollout.phase
        if kind == "ready":
            rollout.ready(pid)
            if before is Phase.PREPARING:
                ready.add(pid)
        elif kind == "committed":
            rollout.committed(pid)
        elif kind == "refused":
            rollout.refused(pid, "no")
        else:
            rollout.lost(pid, "gone")
        if rollout.phase in (Phase.COMMITTING, Phase.DONE):
            assert {1, 2, 3} <= ready
        if before in (Phase.ABORTED, Phase.DONE):
            assert rollout.phase is before
        if before is Phase.COMMITTING:
            assert rollout.phase in (Phase.COMMITTING, Phase.DONE)
