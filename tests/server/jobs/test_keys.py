"""Idempotency keys: one job for each, whoever asks again."""

from __future__ import annotations

import pytest

from connector.server.jobs.keys import Key, Keys
from connector.server.problems import Problem
from tests.server.jobs.jobs import job

KEY = Key("caller", "word")


def test_the_same_request_gets_the_same_job() -> None:
    keys, made = Keys(), job()
    assert keys.claim(KEY, "body") is None
    keys.hold(KEY, made)
    assert keys.claim(KEY, "body") is made


def test_another_request_with_the_key_is_refused() -> None:
    keys = Keys()
    keys.claim(KEY, "body")
    for _ in range(2):
        with pytest.raises(Problem, match="came with another request before") as raised:
            keys.claim(KEY, "another body")
        assert (raised.value.status, raised.value.code) == (422, "idempotency_key_reused")
        keys.hold(KEY, job())


def test_the_same_request_while_the_first_is_being_taken_in_is_put_off() -> None:
    keys = Keys()
    keys.claim(KEY, "body")
    with pytest.raises(Problem, match="still being taken in") as raised:
        keys.claim(KEY, "body")
    assert (raised.value.status, raised.value.headers) == (409, {"Retry-After": "1"})


def test_a_key_is_free_again_when_its_request_failed_or_its_job_is_gone() -> None:
    keys = Keys()
    keys.claim(KEY, "body")
    keys.free(KEY)
    keys.free(KEY)
    assert keys.claim(KEY, "another body") is None
    assert len(keys) == 1


def test_callers_do_not_share_words() -> None:
    keys = Keys()
    keys.claim(KEY, "body")
    assert keys.claim(Key("another caller", "word"), "another body") is None
