"""An audit is a frozen value that keeps the first findings, counts all, and says them to people and to programs."""

from __future__ import annotations

import dataclasses
import json

import pytest

from connector.report import Rejection, Report
from connector.verify.audit import KEPT, Finding, Kind, Outcome, Tally, summary


def missing(number: int) -> Finding:
    return Finding(Kind.MISSING, "Product", f"a{number}", None, f"Product a{number} is not stored.")


def test_an_audit_keeps_the_first_findings_and_a_callback_gets_all() -> None:
    seen: list[Finding] = []
    tally = Tally(seen.append)
    for number in range(KEPT + 5):
        tally.add(missing(number))
    audit = tally.audit(0, pictures=True, seconds=1.0)
    assert (audit.found, len(audit.findings), len(seen)) == (KEPT + 5, KEPT, KEPT + 5)
    assert json.loads(seen[0].to_json()) == {**dataclasses.asdict(missing(0)), "parts": []}
    lines = summary(audit)
    assert lines[0] == "0 rows, 0 stored, 0 rejected: 105 missing in 1.0 s"
    assert (len(lines), lines[1], lines[-1]) == (12, "  Product a0 is not stored.", "  … and 95 more.")
    assert Outcome(audit).exit_code == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit.rows = 3  # type: ignore[misc]


def test_a_clean_audit_says_so() -> None:
    tally = Tally()
    tally.rows = 4
    tally.reject(Rejection(3, "a3", "photo", "blob_not_found", "Product a3: photo is not there."))
    audit = tally.audit(3, pictures=False, seconds=0.25)
    assert audit.clean
    assert Outcome(audit).exit_code == 1  # found nothing, but a row could not be taken
    assert summary(audit) == [
        "4 rows, 3 stored, 1 rejected: nothing found in 0.2 s",
        "  1 rows could not be compared, for example row 3: Product a3: photo is not there.",
    ]
    told = audit.to_dict()
    assert {name: told[name] for name in ("clean", "rows", "stored", "rejected", "pictures", "seconds")} == {
        "clean": True,
        "rows": 4,
        "stored": 3,
        "rejected": 1,
        "pictures": False,
        "seconds": 0.25,
    }
    assert all(told[kind.value] == 0 for kind in Kind)
    assert json.loads(json.dumps(told))["rejections"][0]["row"] == 3


def test_an_outcome_ends_well_where_nothing_is_left() -> None:
    tally = Tally()
    tally.add(missing(1))
    before, after = tally.audit(0, pictures=True, seconds=1.0), Tally().audit(1, pictures=True, seconds=2.0)
    outcome = Outcome(before, Report(read=1, new=1, seconds=0.5), after)
    assert outcome.exit_code == 0
    assert outcome.lines() == [
        "0 rows, 0 stored, 0 rejected: 1 missing in 1.0 s",
        "  Product a1 is not stored.",
        "Repaired: 1 read: 1 new, 0 changed, 0 unchanged, 0 rejected in 0.5 s",
        "0 rows, 1 stored, 0 rejected: nothing found in 2.0 s",
    ]
    told = json.loads(json.dumps(outcome.to_dict()))
    assert (told["missing"], told["repaired"]["new"], told["left"]["clean"]) == (1, 1, True)
    assert Outcome(before, Report(), before).exit_code == 1
