"""One job: it ends once, gives its rows in order, and holds nothing that it does not need."""

from __future__ import annotations

import numpy as np
import pytest

from connector import BlobTooLarge, BlobUnreadable, EmbeddingError, ModelUnavailable
from connector.server.jobs.catalogue import QUERY, TEXT, ZERO_SHOT
from connector.server.jobs.job import OVERHEAD, Failure, Job, JobState
from tests.server.jobs.jobs import job

FAILURE = Failure("no", "unavailable", 503)


def vector(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_it_starts_runs_and_completes_with_its_last_input() -> None:
    told: list[Job] = []
    one = job(2)
    one.when_ended(told.append)
    first, second = one.items
    assert one.state is JobState.STARTING
    one.begin()
    one.settle(second, vector(3, 4))
    assert (one.state, one.ended, told) == (JobState.RUNNING, False, [])
    one.settle(first, vector(1, 2))
    assert (one.state, one.ended, told) == (JobState.COMPLETE, True, [one])
    assert one.rows is not None
    assert one.rows.tolist() == [[1, 2], [3, 4]]
    assert one.items == []


def test_it_ends_once() -> None:
    told: list[Job] = []
    one = job(1)
    (item,) = one.items
    one.when_ended(told.append)
    one.fail(FAILURE)
    one.fail(Failure("another", "deadline", 504))
    one.settle(item, vector(1))
    one.begin()
    assert (one.state, one.failure, one.rows, told) == (JobState.FAILED, FAILURE, None, [one])
    one.when_ended(told.append)
    assert told == [one, one]


def test_a_failed_job_lets_its_pictures_go() -> None:
    one = job(2)
    items = list(one.items)
    assert items[0].take() == b"0"
    assert items[0].content is None
    one.fail(FAILURE)
    assert [item.content for item in items] == [None, None]


def test_what_it_holds_is_counted() -> None:
    assert job(3).held == 3 + 4 * OVERHEAD
    one = job(1)
    one.settle(one.items[0], vector(*range(64)))
    assert one.kept == OVERHEAD + 4 * 64


def test_of_nothing_it_is_complete_at_once() -> None:
    nothing = job(0)
    assert nothing.state is JobState.COMPLETE
    assert nothing.rows is not None
    assert len(nothing.rows) == 0


def test_vectors_come_raw_or_at_length_one_as_the_model_has_it() -> None:
    raw, normalised = job(1), job(1, model="clip-vit-large-patch14")
    for one in (raw, normalised):
        one.settle(one.items[0], vector(3, 4))
    assert raw.rows is not None
    assert normalised.rows is not None
    assert raw.rows.tolist() == [[3, 4]]
    assert normalised.rows.tolist() == pytest.approx(np.array([[0.6, 0.8]]))


def test_classes_are_weighed_by_the_softmax_of_bare_cosines() -> None:
    one = job(2, 2, task=ZERO_SHOT)
    vectors = {"picture": [vector(2, 0), vector(0, 9)], "text": [vector(1, 0), vector(3, 3)]}
    for item in list(one.items):
        one.settle(item, vectors[item.kind][item.index])
    cosines = np.array([[1, 0.5**0.5], [0, 0.5**0.5]])
    powers = np.exp(cosines)
    assert one.rows is not None
    np.testing.assert_allclose(one.rows, powers / powers.sum(1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("task", "pictures", "texts", "batched", "names"),
    [
        ("image-embedding", 1, 0, False, ["'image'"]),
        ("image-embedding", 2, 0, True, ["'image[0]'", "'image[1]'"]),
        (TEXT, 0, 1, False, ["'text'"]),
        (QUERY, 0, 2, True, ["'query[0]'", "'query[1]'"]),
        (ZERO_SHOT, 1, 2, False, ["'image'", "'classes[0]'", "'classes[1]'"]),
    ],
)
def test_inputs_are_called_by_their_place_in_the_request(
    task: str, pictures: int, texts: int, batched: bool, names: list[str]
) -> None:
    assert [item.name for item in job(pictures, texts, task=task, batched=batched).items] == names


def test_a_failure_has_a_reason_a_word_and_the_status_of_its_family() -> None:
    assert Failure.of(EmbeddingError("refused"), "'image[3]'") == Failure(
        "'image[3]': refused", "not_embeddable", 422
    )
    assert Failure.of(BlobUnreadable("'image' is damaged")).status == 422
    assert Failure.of(BlobTooLarge("'image' is large"), "'image'") == Failure(
        "'image' is large", "blob_too_large", 413
    )
    assert Failure.of(ModelUnavailable("gone")) == Failure("gone", "model_unavailable", 503)
