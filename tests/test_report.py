"""A report balances, and says what it says in a fixed form."""

import json

from connector.report import Rejection, Report


def rejection(row: int, code: str = "blob_not_found") -> Rejection:
    return Rejection(row, f"a{row}", "photo", code, f"Product a{row}: photo 'x.jpg' was not found.")


def test_the_report_file_holds_exactly_the_seven_numbers() -> None:
    report = Report(read=5, new=1, changed=1, unchanged=1, rejected=2, seconds=1.23456)
    assert report.to_dict() == {
        "read": 5, "new": 1, "changed": 1, "unchanged": 1, "rejected": 2, "deleted": 0, "seconds": 1.235,
    }  # fmt: skip


def test_balance_is_read_equals_what_became_of_it() -> None:
    assert Report(read=4, new=1, changed=1, unchanged=1, rejected=1).balances
    assert not Report(read=4, new=1, changed=1, unchanged=1).balances


def test_rejections_are_counted_by_code_and_only_the_first_are_kept() -> None:
    report = Report()
    for row in range(250):
        report.reject(rejection(row, "blob_not_found" if row % 2 else "record_invalid"))
    assert report.rejected == 250
    assert report.codes == {"blob_not_found": 125, "record_invalid": 125}
    assert [kept.row for kept in report.rejections] == list(range(100))


def test_a_rejects_line_is_one_ascii_line_of_json_with_the_five_keys() -> None:
    line = Rejection(3, "ü1", None, "record_invalid", "Zeile\nzwei").to_json()
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "row": 3,
        "id": "ü1",
        "field": None,
        "code": "record_invalid",
        "reason": "Zeile\nzwei",
    }


def test_a_report_reads_as_a_sentence() -> None:
    assert (
        str(Report(read=3, new=2, rejected=1, seconds=0.5))
        == "3 read: 2 new, 0 changed, 0 unchanged, 1 rejected in 0.5 s"
    )
