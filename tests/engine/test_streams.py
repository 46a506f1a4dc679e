"""A batch is cut, run on as many threads as there are cores, and put together in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from connector.engine import streams
from connector.engine.streams import spread

CPU = "cpu"


@pytest.fixture
def two_cores() -> Iterator[None]:
    """Two threads for torch, whatever this machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def squares(numbers: Sequence[int]) -> NDArray[np.float32]:
    return np.array([[number**2] for number in numbers], np.float32)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 16, 33])
def test_rows_come_in_order(count: int) -> None:
    rows = spread(squares, range(count), CPU)
    assert rows[:, 0].tolist() == [number**2 for number in range(count)]


@pytest.mark.usefixtures("two_cores")
def test_parts_are_small_and_shared_evenly() -> None:
    sizes: list[int] = []

    def note(numbers: Sequence[int]) -> NDArray[np.float32]:
        sizes.append(len(numbers))
        return squares(numbers)

    spread(note, range(10), CPU)
    assert sorted(sizes) == [5, 5]
    sizes.clear()
    spread(note, range(33), CPU, part=16)
    assert sorted(sizes) == [1, 16, 16]


@pytest.mark.usefixtures("two_cores")
def test_each_stream_has_one_thread_and_all_others_keep_theirs() -> None:
    inside: list[tuple[str, int]] = []

    def note(numbers: Sequence[int]) -> NDArray[np.float32]:
        inside.append((threading.current_thread().name, torch.get_num_threads()))
        return squares(numbers)

    spread(note, range(32), CPU)
    assert {threads for _, threads in inside} == {1}
    assert all(name.startswith("connector-stream") for name, _ in inside)
    assert torch.get_num_threads() == 2
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.usefixtures("two_cores")
def test_what_a_part_raises_reaches_the_caller() -> None:
    def refuse(numbers: Sequence[int]) -> NDArray[np.float32]:
        if 5 in numbers:
            raise ValueError("five")
        return squares(numbers)

    with pytest.raises(ValueError, match="five"):
        spread(refuse, range(20), CPU)
    assert len(spread(refuse, [1, 2, 3], CPU)) == 3


@pytest.mark.usefixtures("two_cores")
def test_a_card_gets_everything_at_once() -> None:
    assert ran(32, "cuda") == [(32, threading.main_thread().name)]


@pytest.mark.usefixtures("two_cores")
def test_one_item_is_run_by_one_core_where_there_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    ((count, thread),) = ran(1, CPU)
    assert count == 1
    assert thread.startswith("connector-stream")
    monkeypatch.setattr(streams, "FEW_CORES", 1)
    assert ran(1, CPU) == [(1, threading.main_thread().name)]


def ran(count: int, device: str) -> list[tuple[int, str]]:
    """How many items were run at once, and by which thread."""
    seen: list[tuple[int, str]] = []

    def note(numbers: Sequence[int]) -> NDArray[np.float32]:
        seen.append((len(numbers), threading.current_thread().name))
        return squares(numbers)

    spread(note, range(count), device)
    return seen


@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # from Python 3.12, and that is the point here
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.usefixtures("two_cores")
def test_a_forked_child_makes_streams_of_its_own() -> None:
    spread(squares, range(8), CPU)
    assert streams._streams.cache_info().currsize
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"%d" % streams._streams.cache_info().currsize)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 9) == b"0"
