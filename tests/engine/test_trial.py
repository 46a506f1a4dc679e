"""A card is tried with larger and larger batches until that gains nothing."""

from __future__ import annotations

import pytest

from connector.engine.trial import FIRST, MOST, Trial


def tried(rates: dict[int, float]) -> Trial:
    """A trial on a card that embeds so many items a second at each size."""
    trial = Trial()
    for _ in range(100):
        size = trial.size
        trial.note(size, size / rates.get(size, max(rates.values())))
    return trial


def test_it_doubles_while_that_gains_and_goes_back_by_one() -> None:
    trial = tried({32: 1000, 64: 1900, 128: 2400, 256: 2450})
    assert (trial.size, trial.over) == (128, True)


def test_a_card_that_gains_nothing_stays_at_the_first_size() -> None:
    assert tried({32: 1000}).size == FIRST


def test_it_ends_at_the_largest_size() -> None:
    trial = tried({2**power: 4.0**power for power in range(5, 11)})
    assert (trial.size, trial.over) == (MOST, True)


def test_a_slow_first_run_is_not_held_against_a_size() -> None:
    trial = Trial()
    trial.note(32, 10.0)  # kernels were being prepared
    trial.note(32, 0.032)
    trial.note(64, 10.0)
    trial.note(64, 0.034)
    assert trial.size == 128


@pytest.mark.parametrize(("count", "seconds"), [(31, 1.0), (32, 0.0)])
def test_what_says_nothing_is_left_out(count: int, seconds: float) -> None:
    trial = Trial()
    for _ in range(10):
        trial.note(count, seconds)
    assert (trial.size, trial.over) == (FIRST, False)


def test_memory_has_the_last_word() -> None:
    trial = Trial()
    trial.end(24)
    for _ in range(10):
        trial.note(24, 0.001)
    assert (trial.size, trial.over) == (24, True)
