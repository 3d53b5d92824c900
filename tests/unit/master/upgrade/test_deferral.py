import pytest

from mosn_mp.ipc.frames import Frame, ReopenLogs
from mosn_mp.master.upgrade.deferral import MAX_HELD, Deferral, Request


class Requests:
    """Requests by name, and what became of each."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def __call__(self, name: str, key: str = "") -> Request:
        return Request(
            lambda: self.outcomes.append(f"{name} done"),
            lambda send: send(ReopenLogs(), (int(name),)),
            lambda problem: self.outcomes.append(f"{name} refused: {problem}"),
            key,
        )

    def send(self, frame: Frame, fds: tuple[int, ...]) -> None:
        """To the next master."""
        self.outcomes.append(f"{fds[0]} passed on")


@pytest.fixture
def request_of() -> Requests:
    return Requests()


def test_what_is_asked_for_before_this_is_the_program_is_done_when_it_is(request_of: Requests) -> None:
    deferral = Deferral()
    deferral.submit(request_of("1"))
    assert request_of.outcomes == []
    deferral.release()
    deferral.submit(request_of("2"))
    assert request_of.outcomes == ["1 done", "2 done"]


def test_what_is_held_is_done_here_in_its_order_if_the_upgrade_fails(request_of: Requests) -> None:
    deferral = Deferral()
    deferral.release()
    deferral.hold()
    for name in ("1", "2", "3"):
        deferral.submit(request_of(name))
    deferral.release()
    assert request_of.outcomes == ["1 done", "2 done", "3 done"]


def test_what_is_held_goes_to_the_next_master_in_its_order_and_what_comes_later_too(request_of: Requests) -> None:
    deferral = Deferral()
    deferral.hold()
    deferral.submit(request_of("1"))
    deferral.submit(request_of("2"))
    assert not deferral.is_passing()
    deferral.pass_on(request_of.send)
    deferral.submit(request_of("3"))
    assert deferral.is_passing()
    assert request_of.outcomes == ["1 passed on", "2 passed on", "3 passed on"]


def test_the_same_right_behind_itself_is_held_once(request_of: Requests) -> None:
    deferral = Deferral()
    for name, key in (("1", "reload"), ("2", "reload"), ("3", ""), ("4", ""), ("5", "reload"), ("6", "reload")):
        deferral.submit(request_of(name, key))
    deferral.release()
    assert request_of.outcomes == ["1 done", "3 done", "4 done", "5 done"]


def test_an_endless_loop_of_somebody_is_refused(request_of: Requests) -> None:
    deferral = Deferral()
    for number in range(MAX_HELD + 1):
        deferral.submit(request_of(str(number)))
    deferral.submit(request_of("reload", "reload"))  # a signal cannot be told
    assert request_of.outcomes == [f"{MAX_HELD} refused: {MAX_HELD} other changes wait for the end of an upgrade"]
    deferral.release()
    assert request_of.outcomes[-1] == "reload done"
