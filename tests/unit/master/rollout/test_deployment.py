"""A two-phase commit carried out over workers: what they are sent, who is told, and what closing it means."""

import logging
from collections.abc import Iterator

import pytest

from mosn_mp.ipc.frames import Abort, Commit, Committed, Frame, Prepare, Ready, Refused
from mosn_mp.master.events.loop import Loop
from mosn_mp.master.processes.workers import Worker, WorkerState
from mosn_mp.master.rollout.deployment import Deployment
from mosn_mp.master.state.served import Snapshot


class SentFrames:
    """Workers that are told, and answer nothing by themselves."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, Frame]] = []

    def give(self, worker: Worker, sockets: dict[object, int]) -> None:
        assert sockets == {}

    def send(self, worker: Worker, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        self.frames.append((worker.pid, frame))

    def silence(self, worker: Worker) -> None:
        """No log is switched off."""


class Setting:
    """Two workers that prepare version 7."""

    def __init__(self, loop: Loop) -> None:
        self.workers = [Worker(0, 0, 100), Worker(1, 1, 101)]
        self.sent = SentFrames()
        self.told: list[str] = []
        self.deployment = Deployment(
            loop,
            self.sent,
            Snapshot(7, -1, -1, None),
            self.workers,
            lambda: self.told.append("commit"),
            self.told.append,
            lambda: self.told.append("done"),
        )
        self.deployment.begin(lambda _: {})

    def answer(self, frame: Ready | Refused | Committed) -> None:
        for worker in self.workers:
            self.deployment.take(worker, frame)

    def kinds(self) -> list[type[Frame]]:
        return [type(frame) for _, frame in self.sent.frames]


@pytest.fixture
def setting() -> Iterator[Setting]:
    loop = Loop(logging.getLogger("test"))
    yield Setting(loop)
    loop.close()


def test_all_are_told_to_commit_when_all_are_ready(setting: Setting) -> None:
    setting.answer(Ready(7))
    setting.answer(Committed(7))
    assert setting.kinds() == [Prepare, Prepare, Commit, Commit]
    assert setting.told == ["commit", "done"]
    assert [worker.state for worker in setting.workers] == [WorkerState.SERVING, WorkerState.SERVING]
    assert setting.deployment.is_over()


def test_one_refusal_aborts_it_for_all(setting: Setting) -> None:
    setting.deployment.take(setting.workers[0], Ready(7))
    setting.deployment.take(setting.workers[1], Refused(7, "no room"))
    assert setting.kinds() == [Prepare, Prepare, Abort, Abort]
    assert setting.told == ["worker 1 refused: no room"]


def test_answers_about_another_version_are_not_heard(setting: Setting) -> None:
    setting.answer(Ready(6))
    assert (setting.told, setting.deployment.is_over()) == ([], False)


def test_once_closed_nobody_is_told_to_commit(setting: Setting) -> None:
    setting.deployment.take(setting.workers[0], Ready(7))
    setting.deployment.close()
    setting.deployment.take(setting.workers[1], Ready(7))
    assert setting.deployment.is_over()
    assert (setting.kinds(), setting.told) == ([Prepare, Prepare], [])
