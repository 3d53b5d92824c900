"""The wait before a dead child is replaced."""

from mosn_mp.master.processes.respawn import HEALTHY_AFTER_S, LAST_DELAY_S, Respawn


def test_the_first_death_is_answered_at_once() -> None:
    assert Respawn().delay_s(0.1) == 0


def test_dying_young_again_and_again_slows_down_to_a_limit() -> None:
    respawn = Respawn()
    assert [respawn.delay_s(0.01) for _ in range(8)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LAST_DELAY_S]
    for _ in range(2000):
        assert respawn.delay_s(0.01) == LAST_DELAY_S


def test_a_long_life_forgives() -> None:
    respawn = Respawn()
    for _ in range(5):
        respawn.delay_s(0.01)
    assert respawn.delay_s(HEALTHY_AFTER_S) == 0
    assert respawn.delay_s(0.01) == 0.1
    assert respawn.deaths == 7
