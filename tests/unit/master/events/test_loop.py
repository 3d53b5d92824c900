"""The master's loop."""

import logging
import os
import signal
import time

import pytest

from mosn_mp.master.events.loop import WRITABLE, Loop

log = logging.getLogger("test")


def test_timers_fire_in_the_order_of_their_deadlines() -> None:
    loop = Loop(log)
    fired: list[str] = []
    loop.call_later(0.02, lambda: fired.append("second"))
    loop.call_later(0.01, lambda: fired.append("first"))
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert fired == ["first", "second"]
    loop.close()


def test_a_cancelled_timer_never_fires() -> None:
    loop = Loop(log)
    fired: list[str] = []
    loop.call_later(0, lambda: fired.append("no")).cancel()
    loop.call_later(0.01, loop.stop)
    loop.run()
    assert fired == []
    loop.close()


def test_descriptors_call_back_until_they_are_unwatched() -> None:
    loop = Loop(log)
    reader, writer = os.pipe()
    seen: list[bytes] = []

    def read(_: int) -> None:
        seen.append(os.read(reader, 1))
        if len(seen) == 2:
            loop.unwatch(reader)
            loop.call_later(0.01, loop.stop)

    loop.watch(reader, read)
    os.write(writer, b"abc")
    loop.run()
    assert seen == [b"a", b"b"]
    os.close(reader)
    os.close(writer)
    loop.close()


def test_a_watched_descriptor_can_wait_to_be_writable() -> None:
    loop = Loop(log)
    reader, writer = os.pipe()
    loop.watch(writer, lambda _: loop.stop(), WRITABLE)
    loop.run()
    os.close(reader)
    os.close(writer)
    loop.close()


def test_signals_are_handed_over_between_events() -> None:
    loop = Loop(log)
    seen: list[int] = []

    def take(number: int) -> None:
        seen.append(number)
        loop.stop()

    before = signal.getsignal(signal.SIGUSR1)
    try:
        loop.catch_signals([signal.SIGUSR1], take)
        loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        loop.run()
    finally:
        loop.close()
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_an_exception_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop(log)

    def fail() -> None:
        raise ZeroDivisionError("ours")

    loop.call_later(0, fail)
    loop.call_later(0.01, loop.stop)
    loop.run()
    assert "ZeroDivisionError: ours" in caplog.text
    loop.close()


def test_an_idle_loop_uses_no_cpu() -> None:
    loop = Loop(log)
    loop.call_later(0.2, loop.stop)
    begun = time.process_time()
    loop.run()
    assert time.process_time() - begun < 0.05
    loop.close()
