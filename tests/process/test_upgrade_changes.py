"""Changes that are asked for during an upgrade take effect in the generation that serves afterwards, or are refused."""

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.frames import Ask
from mosn_mp.master.control.client import ask_over
from tests.process.changes import (
    Kind,
    by_cluster,
    by_disabled_log,
    by_level,
    by_listener,
    by_rebalance,
    by_reload,
    by_rotated_log,
    by_rotation,
    by_route,
    by_router,
    by_signal,
    by_weight,
)
from tests.process.changing import Change, Changing
from tests.process.program import Program, is_alive, say, wait_until
from tests.process.releases import other_layout, start_program

# What a reload takes back again (the file wins) is not asked for together with one.
SWITCHES = (by_rotation, by_level, by_disabled_log)
EDITS = (by_router, by_route, by_cluster, by_listener, by_weight)
GROUPS: tuple[tuple[Kind, ...], ...] = (
    (by_signal, *SWITCHES, by_rotated_log),
    (*EDITS, *SWITCHES),
    (by_reload, by_rebalance, *SWITCHES, by_rotated_log),
)
MOST_UPGRADES = 900  # of the long sweep; each takes a second or two
MOST_KEPT = 100  # routes that are added with auto_config stay


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Changing]:
    program = Changing(tmp_path)
    try:
        yield program
    finally:
        program.end()


@pytest.fixture
def changing(made: Changing) -> Changing:
    made.start()
    return made


def sweep(changing: Changing, offsets_ms: list[float], groups: tuple[tuple[Kind, ...], ...] = GROUPS) -> None:
    """An upgrade for each of *offsets_ms*, with changes of one of *groups* in turn."""
    for turn, offset_ms in enumerate(offsets_ms):
        changing.upgrade_with(offset_ms, groups[turn % len(groups)])
    say("".join(f"\n{name}: {count}" for name, count in sorted(changing.outcomes.items())))


def ask_all(changing: Changing, kinds: tuple[Kind, ...]) -> list[tuple[Change, bool]]:
    """Ask for changes of *kinds* at once: each, and whether it was made."""
    changes = [kind(changing) for kind in kinds]
    return list(zip(changes, changing.pool.map(lambda change: change.ask(), changes), strict=True))


def test_changes_at_some_moments_of_an_upgrade(changing: Changing) -> None:
    took_ms = changing.took_ms()
    seed = random.randrange(1 << 32)
    say(f"\nseed {seed}")
    chance = random.Random(seed)
    sweep(changing, [chance.uniform(0, 1.2 * took_ms) for _ in GROUPS])


@pytest.mark.slow
def test_changes_at_every_millisecond_of_an_upgrade(changing: Changing) -> None:
    """On a machine with something else to do an upgrade takes long: then at MOST_UPGRADES moments of it."""
    took_ms = 1.2 * changing.took_ms()
    step_ms = max(1.0, took_ms * len(GROUPS) / MOST_UPGRADES)
    moments = [number * step_ms for number in range(int(took_ms / step_ms))]
    say(f"every {step_ms:.2f} ms")
    for shift in range(len(GROUPS)):  # each group at each moment
        sweep(changing, moments[shift:] + moments[:shift])


def test_what_is_asked_for_during_an_upgrade_that_fails_is_done_by_the_old_generation(changing: Changing) -> None:
    old = changing.pid
    for kinds in GROUPS:
        report = changing.begin_upgrade("raise SystemExit(3)")
        asked = ask_all(changing, kinds)
        assert not report.result().ok
        for change, was_done in asked:
            assert was_done, change.name
            wait_until(change.holds, change.name)
    assert changing.pid == old


def test_a_version_that_an_upgrade_took_back_is_not_given_again(changing: Changing) -> None:
    """The new generation serves, and dies before the old one gives way."""
    failing = (
        "from mosn_mp.master.upgrade.new_side import NewSide\n"
        "NewSide.ready = lambda self, snapshot: __import__('os')._exit(9)"
    )
    changing.next_number()
    assert not changing.begin_upgrade(start_program(failing), 0).result().ok
    assert changing.report().config_version == 1
    assert "start: version 2 of" in changing.log_text()
    changing.next_number()
    assert changing.run("reload").returncode == 0
    assert changing.report().config_version == 3


def test_a_reload_is_not_lost_with_the_old_master(changing: Changing) -> None:
    old = changing.pid
    report = changing.begin_upgrade(start_program("time.sleep(0.5)"), 0)
    os.kill(old, signal.SIGHUP)
    os.kill(old, signal.SIGSTOP)  # it is in the middle, however fast the new one starts
    wait_until(lambda: "start: version 2 of" in changing.log_text(), "the file was read")
    number = changing.next_number()
    os.kill(old, signal.SIGKILL)
    with pytest.raises(AssertionError):
        report.result()
    wait_until(lambda: changing.pid != old, "the new master is the program")
    wait_until(lambda: changing.answers() == {number}, "the file of the reload")


def test_the_old_master_passes_on_what_it_hears_while_it_drains(changing: Changing) -> None:
    """A signal to its pid, and the question of a client that connected before."""
    old = changing.pid
    here = ("127.0.0.1", changing.port)
    with changing.connect_control() as early, socket.create_connection(here) as busy:
        busy.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * 8192)  # too much of a head to be handed over
        wait_until(lambda: changing.report(), "the control socket has accepted")
        assert changing.begin_upgrade(start_program(), 0).result().ok
        assert is_alive(old)
        number = changing.next_number()
        os.kill(old, signal.SIGHUP)
        wait_until(lambda: changing.answers() == {number}, "the file")
        number = changing.next_number()
        assert ask_over(Channel(early), Ask("reload", str(changing.path)), 20).ok
        assert changing.answers() == {number}
        assert is_alive(old)
        os.kill(old, signal.SIGUSR1)
        wait_until(lambda: changing.log_text().count("SIGUSR1: logs reopened") == 2, "the new generation reopens too")


def test_what_was_switched_before_holds_afterwards(changing: Changing) -> None:
    silent, level, rotation = by_disabled_log(changing), by_level(changing), by_rotation(changing)
    for change in (silent, level, rotation):
        assert change.ask()
    changing.upgrade()
    for change in (level, rotation, silent):
        wait_until(change.holds, change.name)
    changing.ask_admin("/api/v1/disable_log", {"log_path": str(changing.access_log)})
    changing.server["default_log_level"] = "TRACE"
    changing.next_number()
    changing.upgrade()
    # The file says another level than before: it wins, as in a reload.
    wait_until(lambda: json.loads(changing.ask("GET", "/api/v1/get_loglevel")[1])[str(changing.log)] == "TRACE", "the level")
    assert rotation.holds()


def test_a_host_stays_out_of_rotation_in_new_shared_memory(changing: Changing) -> None:
    first, second = (f"127.0.0.1:{port}" for port in changing.upstreams)
    assert changing.ask_control(Ask("host disable", cluster="up", address=first)) is not None
    report = changing.begin_upgrade(other_layout(changing.directory))
    assert changing.ask_control(Ask("host disable", cluster="up", address=second)) is not None
    assert changing.ask_control(Ask("host enable", cluster="up", address=first)) is not None
    assert report.result().ok
    assert "counters go on in new shared memory" in changing.log_text()
    assert changing.report().disabled_hosts == [f"up/{second}"]


def test_who_gave_up_while_it_waited_gets_nothing_done(changing: Changing) -> None:
    report = changing.begin_upgrade(start_program())
    ask = Ask("host weight", cluster="up", address=f"127.0.0.1:{changing.upstreams[0]}", weight=9)
    with changing.connect_control() as sock:
        Channel(sock).send(ask)
    assert report.result().ok
    assert by_weight(changing).ask()  # which would come behind it
    assert changing.report().config_version == 3
    assert 9 not in changing.report().weights.values()


def test_a_burst_of_changes_is_made_in_its_order(changing: Changing) -> None:
    report = changing.begin_upgrade(start_program())
    asks = [Ask("host weight", cluster="up", address=f"127.0.0.1:{changing.upstreams[0]}", weight=n) for n in range(2, 10)]
    answers = []
    for ask in asks:
        answers.append(changing.pool.submit(changing.ask_control, ask))
        time.sleep(0.02)
    assert report.result().ok
    assert None not in [answer.result() for answer in answers]
    assert list(changing.report().weights.values()) == [9]


def test_with_auto_config_edits_at_some_moments_of_an_upgrade_are_in_the_file(made: Changing) -> None:
    made.keep()
    made.start()
    took_ms = made.took_ms()
    sweep(made, [0.3 * took_ms, 0.8 * took_ms], (EDITS,))


@pytest.mark.slow
def test_with_auto_config_edits_at_many_moments_of_an_upgrade_are_in_the_file(made: Changing) -> None:
    made.keep()
    made.start()
    took_ms = made.took_ms()
    sweep(made, [1.2 * took_ms * number / MOST_KEPT for number in range(MOST_KEPT)], (EDITS,))


def test_with_auto_config_a_change_just_before_is_in_the_file_that_the_new_program_reads(made: Changing) -> None:
    made.keep()
    made.start()
    for _ in range(6):
        made.number += 1
        weight = by_weight(made)
        assert weight.ask()
        old = made.pid
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda old=old: made.pid != old and not is_alive(old), "the next generation", 20)
        assert weight.holds()


def test_a_reload_that_is_asked_for_during_the_start_is_made_after_it(made: Changing) -> None:
    (made.directory / "slow.py").write_text(
        "import os, time\nfrom mosn_mp.filter.stream_filter import StreamFilter\n"
        f"open({str(made.directory / 'read')!r}, 'w').close()\ntime.sleep(0.5)\n"
        "class Mine(StreamFilter):\n    pass\n"
    )
    made.server["listeners"][0]["stream_filters"] = [{"type": "slow:Mine", "python_path": "."}]
    made.write()
    made.master = made.spawn()
    wait_until((made.directory / "read").exists, "the file is being read")
    number = made.next_number()
    made.signal(signal.SIGHUP)
    Program.wait_serving(made)
    wait_until(lambda: made.answers() == {number}, "the file of the reload")
