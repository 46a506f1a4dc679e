"""schemathesis over the whole OpenAPI document: no 5xx, no undocumented answer, and answers as they are described.

Deterministic: the cases depend on the document alone. One of its checks is left out: `positive_data_acceptance` wants
whatever fits the JSON schema to be accepted, and no JSON schema says which conditions, ids or pictures there are.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import schemathesis
from schemathesis.config import (
    ChecksConfig,
    ExamplesPhaseConfig,
    FuzzingPhaseConfig,
    GenerationConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.config._checks import NegativeDataRejectionConfig
from schemathesis.engine import Status, events, from_schema

from connector.server.records.models import EXAMPLE_RECORD
from tests.server.conftest import OpenLive

MOST_EXAMPLES = 25
NDJSON = "application/x-ndjson"
REFUSALS = ("400", "401", "403", "404", "405", "413", "415", "422", "429", "503")


@pytest.fixture
def _knows_json_lines() -> Any:
    """Lines are sent as they are generated: a string."""

    def written(context: Any, value: Any) -> Any:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        return {"data": data}

    return schemathesis.serializer(NDJSON)(written)


def config() -> SchemathesisConfig:
    """What is tried, and how often."""
    project = ProjectConfig(
        generation=GenerationConfig(max_examples=MOST_EXAMPLES, deterministic=True, database="none"),
        phases=PhasesConfig(
            examples=ExamplesPhaseConfig(),
            fuzzing=FuzzingPhaseConfig(),
            stateful=StatefulPhaseConfig(enabled=False),
        ),
        checks=ChecksConfig(
            # What is too long for a header is refused before anybody reads it.
            negative_data_rejection=NegativeDataRejectionConfig(expected_statuses=[*REFUSALS, "431"]),
            positive_data_acceptance=PositiveDataAcceptanceConfig(enabled=False),
        ),
        continue_on_failure=True,
        request_timeout=60,  # what is answered is checked here, not how soon a busy machine does
    )
    return SchemathesisConfig(projects=ProjectsConfig(default=project))


@pytest.mark.usefixtures("_knows_json_lines")
def test_every_answer_is_one_that_is_documented(open_live: OpenLive) -> None:
    # Only a model that is there without a hub.
    live = open_live(models=("stand-in",))
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json", config=config())
    problems: list[str] = []
    tried = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            tried += len(event.recorder.cases)
            problems += told(event)
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            problems.append(shortened(event))
    assert problems == [], "\n".join(problems)
    assert tried > 800
    assert live.client.get("/health").status_code == 200
    assert live.client.get("/search?text=mug").status_code == 200


def told(event: events.ScenarioFinished) -> list[str]:
    """What failed, in a line each."""
    return [
        f"{event.recorder.label}: {check.name}: {check.failure_info.failure.message[:300]}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.status is Status.FAILURE and check.failure_info is not None
    ]


def shortened(event: Any) -> str:
    text = io.StringIO()
    text.write(
        f"{getattr(event, 'label', '')}: {getattr(event, 'value', getattr(event, 'exception', event))!r}"
    )
    return text.getvalue()[:500]


def test_the_document_has_examples_for_everything(open_live: OpenLive) -> None:
    live = open_live(rows=0)
    document = live.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            assert operation.get("summary"), place
            assert operation["operationId"], place
            for status, answer in operation["responses"].items():
                assert answer["description"], f"{place} {status}"
    search = document["paths"]["/search"]["post"]
    assert set(search["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert search["requestBody"]["content"]["application/json"]["schema"]["examples"]
    assert document["components"]["schemas"]["FoundRecord"]["examples"][0]["record"] == EXAMPLE_RECORD
    assert {"200", "401", "403", "409", "413", "415", "422", "429", "503"} <= set(search["responses"])
