"""The look-alike's answers hold against the service's own OpenAPI document, cut down to what it serves.

Requests are drawn by schemathesis: such as fit the document, sent to a job, a file and a receiver that
exist, and such as do not fit. Where the look-alike deviates on purpose the reason stands below; any
other failure fails the test. ``cut_openapi.py`` made ``openapi.json``.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok

from core.simulator import SimulatorConfig, create_simulator
from core.simulator.files_store import ORDERS
from tests.simulator.calls import AUTH, done
from tests.simulator.cast import read_lines
from tests.simulator.serving import Serving

Operation = APIOperation[Any, Any, Any, Any]
Drawn = Case[Any]
DOCUMENT = schemathesis.openapi.from_path(Path(__file__).with_name("openapi.json"))
OPERATIONS = [found.ok() for found in DOCUMENT.get_all_operations() if isinstance(found, Ok)]
WITHOUT_PARAMETERS = {"GET /api/v1/parsing/supported_file_extensions", "GET /api/v2/parse/versions"}
TENANT = {
    "project_id": SimulatorConfig().project_id.removeprefix("prj-"),
    "organization_id": SimulatorConfig().organization_id,
}


@dataclass(frozen=True)
class Deviation:
    """Why a check may fail: the check, the status of the answer, the operations, the reason.

    Not when the failure speaks of ``unless``.
    """

    check: str
    status: int
    operations: str
    reason: str
    unless: str = ""

    def explains(self, failure: Failure, status: int, operation: str) -> bool:
        """Whether this is the failure that was foreseen."""
        return (
            (self.check, self.status) == (type(failure).__name__, status)
            and re.fullmatch(self.operations, operation) is not None
            and not (self.unless and self.unless in str(failure))
        )


DEVIATIONS = (
    *(
        Deviation("UndefinedStatusCode", status, ".*", reason)
        for status, reason in {
            400: "The document declares no refusal but 422; the fact sheet (4.2) documents this one.",
            401: "As 400: a missing or a wrong key.",
            403: "As 400: another's project.",
            404: "As 400: nothing of that id, or no result yet.",
            409: "As 400: the job is not in the state for it.",
        }.items()
    ),
    Deviation(
        "JsonSchemaError",
        200,
        "GET /api/v2/parse/versions",
        "The document is three months older than the newest SDK, which names newer versions.",
    ),
    Deviation(
        "RejectedPositiveData",
        400,
        "GET /api/v1/beta/(files|usage-metrics)|GET /api/v2/parse|POST /api/v1/beta/files/query",
        "A page token is any text in the document, but only the service's own mean a page.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "GET /api/v1/beta/usage-metrics.*",
        "Days and page sizes are any text or number in the document; they must be days and sizes.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "GET /api/v2/parse|POST /api/v1/beta/files/query",
        "The document gives no bounds for the page size; the listing of files says 1 to 1000.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "GET /api/v1/beta/files|POST /api/v1/beta/files/query",
        f"The newest SDK says that other orders than {', '.join(filter(None, ORDERS))} are rejected.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "GET /api/v1/beta/files/{file_id}/content",
        "A link that expires before it begins, or after years, is none.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "POST /api/v1/beta/files",
        "The purpose is any text in the document's schema, one of seven words in its prose.",
    ),
    Deviation("RejectedPositiveData", 400, "POST /api/v1/beta/files", "An empty file is no file."),
    Deviation(
        "RejectedPositiveData",
        422,
        "(POST|PUT) /api/v1/beta/webhook-configs.*",
        "A receiver has an http address, and the newest SDK says that an empty list is rejected.",
    ),
    Deviation(
        "RejectedPositiveData",
        400,
        "POST /api/v1/parsing/(upload|screenshot)",
        "A source is needed, the mode must exist, and S3 paths are not read (fact sheet 4.2).",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "POST /api/v1/parsing/(upload|screenshot)",
        "Numbers below 0 count no pages.",
    ),
    Deviation(
        "RejectedPositiveData",
        422,
        "POST /api/v2/parse",
        "target_pages is any text in the document; it must name pages, each once.",
    ),
    Deviation(
        "RejectedPositiveData",
        400,
        "POST /api/v2/parse/upload",
        "The document leaves out the upload's body; a request without one is refused (4.2).",
    ),
    Deviation(
        "UndefinedContentType",
        200,
        "GET /api/v1/parsing/job/{job_id}/result/(xlsx|pdf)",
        "The document calls workbooks and PDFs JSON; the official clients write the bytes to a file.",
    ),
    *(
        Deviation(
            "AcceptedNegativeData",
            status,
            ".*",
            "Every query value is a text on the wire, unknown ones are ignored, and this test adds the key.",
            unless="body",
        )
        for status in (200, 201, 204)
    ),
    Deviation(
        "AcceptedNegativeData",
        200,
        "POST /api/v1/parsing/(upload|screenshot)",
        "v1 ignores fields that it does not know, and options that change nothing here.",
    ),
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A simulator's address with the ids of a job, a file and a receiver that exist there."""
    folder = tmp_path_factory.mktemp("openapi")
    config = SimulatorConfig(api_key="llx-test", seed="openapi")
    app = create_simulator(
        config, folder, read_lines, clock=lambda: datetime(2026, 11, 1, tzinfo=UTC)
    )
    with ExitStack() as stack:
        url = stack.enter_context(Serving(app)).url
        file = httpx.post(
            f"{url}/api/v1/beta/files",
            headers=AUTH,
            data={"purpose": "parse"},
            files={"file": ("a.pdf", b"one")},
        ).json()
        hook = httpx.post(
            f"{url}/api/v1/beta/webhook-configs",
            headers=AUTH,
            json={"webhook_url": "http://127.0.0.1:1/"},
        ).json()
        yield {
            "url": url,
            "job_id": done(url),
            "file_id": file["id"].removeprefix("dfl-"),
            "config_id": hook["id"],
            "filename": "markdown_full",
            "name": "page_1.jpg",
        }


def _fitting(case: Drawn, known: dict[str, str]) -> Drawn:
    """The same request about things that exist, so that answers other than refusals are seen."""
    if case.method != "DELETE":
        case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
    case.query = {
        name: TENANT.get(name, value)
        for name, value in (case.query or {}).items()
        if name not in {"page_token", "session"}
    }
    if case.operation.label == "POST /api/v2/parse" and isinstance(case.body, dict):
        asked: dict[str, Any] = {
            "tier": "fast",
            "version": "latest",
            "file_id": f"dfl-{known['file_id']}",
        }
        left_out = {"source_url", "webhook_configuration_ids", "webhook_configurations"}
        kept: dict[str, Any] = {k: v for k, v in case.body.items() if k not in left_out}
        case.body = {**kept, **asked}
    return case


def _try_out(operation: Operation, mode: GenerationMode, known: dict[str, str], count: int) -> None:
    """Send so many drawn requests; fails with the first failure that is not explained."""
    session = requests.Session()

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: Drawn) -> None:
        if mode is GenerationMode.POSITIVE:
            case = _fitting(case, known)
        response = case.call(known["url"], session, AUTH)
        try:
            case.validate_response(response)
        except FailureGroup as group:
            for failure in group.exceptions:
                assert any(
                    deviation.explains(failure, response.status_code, operation.label)
                    for deviation in DEVIATIONS
                ), (
                    f"{operation.label} {type(failure).__name__}: {failure}\n"
                    f"{response.status_code} {response.content[:500]!r}\n"
                    f"{case.path_parameters} {case.query} {case.body!r:.500}"
                )

    with session:
        send()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_requests_that_fit_the_document(operation: Operation, known: dict[str, str]) -> None:
    """What the document allows is answered in the documented shapes, or refused for a stated reason."""
    _try_out(operation, GenerationMode.POSITIVE, known, 8)


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.label not in WITHOUT_PARAMETERS],
    ids=lambda operation: operation.label,
)
def test_requests_that_do_not_fit(operation: Operation, known: dict[str, str]) -> None:
    """What the document forbids is refused, in the documented shape, and never breaks the server."""
    _try_out(operation, GenerationMode.NEGATIVE, known, 12)


@pytest.mark.soak
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_many_requests(operation: Operation, mode: GenerationMode, known: dict[str, str]) -> None:
    """The same, many times over."""
    if mode is GenerationMode.POSITIVE or operation.label not in WITHOUT_PARAMETERS:
        _try_out(operation, mode, known, 300)


def test_no_deviation_without_a_reason() -> None:
    """Each deviation is of an operation that exists, and is explained in a sentence."""
    labels = [operation.label for operation in OPERATIONS]
    for deviation in DEVIATIONS:
        assert any(re.fullmatch(deviation.operations, label) for label in labels)
        assert deviation.reason.endswith(".")
