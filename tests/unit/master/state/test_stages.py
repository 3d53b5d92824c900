"""The stages of the program, and the ways between them."""

import itertools

import pytest

from mosn_mp.master.state.stages import TRANSITIONS, Stage, StageError, Stages


def at(*way: Stage) -> Stages:
    stages = Stages()
    for stage in way:
        stages.enter(stage)
    return stages


@pytest.mark.parametrize(
    "way",
    [
        (Stage.STARTING, Stage.RUNNING, Stage.GRACEFUL_STOPPING, Stage.STOPPING),
        (Stage.STARTING, Stage.RUNNING, Stage.UPGRADING, Stage.STOPPING),
        (Stage.STARTING, Stage.GRACEFUL_STOPPING),
        (Stage.STARTING, Stage.STOPPING),
        (Stage.STOPPING,),
    ],
)
def test_a_run_of_the_program_passes_its_stages(way: tuple[Stage, ...]) -> None:
    assert at(*way).now is way[-1]


def test_a_way_that_is_not_in_the_table_is_a_bug_and_changes_nothing() -> None:
    for now, wanted in itertools.product(Stage, Stage):
        stages = Stages()
        stages.now = now
        if wanted not in TRANSITIONS[now]:
            with pytest.raises(StageError, match=f"{wanted.name} cannot come after {now.name}"):
                stages.enter(wanted)
            assert stages.now is now


def test_nothing_follows_the_end() -> None:
    assert not TRANSITIONS[Stage.STOPPING]
    assert all(Stage.STOPPING in following for now, following in TRANSITIONS.items() if now is not Stage.STOPPING)


def test_a_master_on_its_way_out_starts_nothing_any_more() -> None:
    assert [stage for stage in Stage if _is_stopping(stage)] == [Stage.GRACEFUL_STOPPING, Stage.STOPPING, Stage.UPGRADING]


def test_the_stage_in_words() -> None:
    assert at(Stage.STARTING, Stage.RUNNING, Stage.GRACEFUL_STOPPING).text() == "graceful stopping"


def _is_stopping(stage: Stage) -> bool:
    stages = Stages()
    stages.now = stage
    return stages.is_stopping()
