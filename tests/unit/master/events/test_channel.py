"""A channel on the loop: what the other end can do to this one."""

import contextlib
import gc
import itertools
import logging
import os
from collections.abc import Iterator

import pytest

from mosn_mp.ipc.channel import BadFrameError, Channel, ChannelStuckError, Delivery
from mosn_mp.ipc.frames import Commit, Pulse
from mosn_mp.master.events.channel import FRAMES_PER_TURN, MAX_FRAMES_PER_S, EventChannel
from mosn_mp.master.events.loop import Loop


class Talk:
    """A loop with one channel, and what was called back."""

    def __init__(self, max_fds: int = 0) -> None:
        self.loop = Loop(logging.getLogger("mosn_mp_test"))
        ours, self.theirs = Channel.pair()
        self.heard: list[Delivery] = []
        self.faults = 0
        self.is_picky = False
        self.channel = EventChannel(self.loop, ours, "child", self._take, self._fault, max_fds=max_fds)

    def _take(self, delivery: Delivery) -> None:
        if self.is_picky:
            raise BadFrameError("not one of its own")
        self.heard.append(delivery)

    def _fault(self) -> None:
        self.faults += 1

    def turn(self, seconds: float = 0.05) -> None:
        """Let the loop run for a moment."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run()


def descriptors() -> int:
    gc.collect()  # what another test left behind is not closed in between
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def talk() -> Iterator[Talk]:
    made = Talk()
    yield made
    made.channel.close()
    made.theirs.close()
    made.loop.close()


def test_descriptors_that_nobody_asked_for_end_the_talk_and_stay_nowhere(talk: Talk) -> None:
    before = descriptors()
    talk.theirs.send(Commit(1), [0, 1, 2])
    talk.turn()
    assert talk.faults == 1
    assert not talk.heard
    assert descriptors() == before - 1  # our end


@pytest.mark.parametrize("max_fds", [1, 2, 3])
def test_one_descriptor_too_many_is_one_too_many(max_fds: int) -> None:
    talk = Talk(max_fds)
    talk.theirs.send(Commit(1), [0] * max_fds)
    talk.turn()
    assert talk.faults == 0
    assert len(talk.heard) == 1
    before = descriptors()
    talk.theirs.send(Commit(1), [0] * (max_fds + 1))
    talk.turn()
    assert talk.faults == 1
    assert descriptors() == before - 1


def test_descriptors_that_are_not_taken_are_closed() -> None:
    talk = Talk(3)
    before = descriptors()
    for is_picky, faults in ((False, 0), (True, 1)):
        talk.is_picky = is_picky
        talk.theirs.send(Commit(1), [0, 1])
        talk.turn()
        assert talk.faults == faults
    assert descriptors() == before - 1


def test_garbage_ends_the_talk_and_is_not_quoted_at_length(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    os.write(talk.theirs.fileno(), b"\x81\xa5frame\xd9\xff" + b"\x1b" * 255)
    talk.turn()
    assert talk.faults == 1
    assert "no frame" in caplog.text
    assert len(caplog.records[-1].getMessage()) < 400


def test_a_frame_of_somebody_else_ends_the_talk(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk.is_picky = True
    talk.theirs.send(Commit(1))
    talk.theirs.send(Commit(2))
    talk.turn()
    assert talk.faults == 1
    assert "it sent Commit: not one of its own" in caplog.text


def test_a_flood_leaves_turns_to_others_and_is_ended(talk: Talk) -> None:
    heard: list[int] = []  # at each turn of another one

    def flood() -> None:
        heard.append(len(talk.heard))
        if talk.faults:
            talk.loop.stop()
            return
        with contextlib.suppress(ChannelStuckError):
            talk.theirs.flush()
            while True:
                talk.theirs.send(Pulse())
        talk.loop.call_later(0, flood)

    talk.loop.call_later(0, flood)
    talk.loop.call_later(10, talk.loop.stop)
    talk.loop.run()
    assert talk.faults == 1
    assert max(later - earlier for earlier, later in itertools.pairwise(heard)) <= FRAMES_PER_TURN
    assert len(talk.heard) <= 2 * MAX_FRAMES_PER_S
