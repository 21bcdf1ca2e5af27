"""Exit codes, HTTP status and hints of the error classes."""

import json
import logging

import pytest

from streamrag_cli.errors import (
    ConfigurationError,
    DocumentError,
    ExitCode,
    ModelServerError,
    NothingRelevantError,
    ResourceError,
    Severity,
    StoreError,
    StreamragError,
    UsageError,
    class_of,
    http_status_of,
    with_target_flags,
)
from streamrag_cli.server.replies import reply_to


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("streamrag ingest --rebuild", "streamrag ingest --rebuild -c notes --store 'my store'"),
        (
            "another (-c NAME), or: streamrag doctor",
            "another (-c NAME), or: streamrag doctor -c notes --store 'my store'",
        ),
        ("streamrag ingest --store DIR PATH", "streamrag ingest --store DIR PATH -c notes"),
        (
            "mount it, or: streamrag ingest '/a, (b)'",
            "mount it, or: streamrag ingest '/a, (b)' -c notes --store 'my store'",
        ),
        ("try again in a moment", "try again in a moment"),
        ("as docs: GRANT USAGE ON SCHEMA streamrag TO reader;", "as docs: GRANT USAGE ON SCHEMA streamrag TO reader;"),
        ("sudo -u docs streamrag ..., or ask docs", "sudo -u docs streamrag ..., or ask docs"),
        ("", ""),
    ],
)
def test_missing_target_flags_are_added_to_a_hint(hint: str, expected: str) -> None:
    assert with_target_flags(hint, collection="notes", store="my store") == expected
    assert with_target_flags(hint) == hint


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (UsageError, (2, 422, Severity.WARNING, "the request is not valid")),
        (ConfigurationError, (3, 500, Severity.ERROR, "the server is not configured correctly")),
        (ModelServerError, (4, 502, Severity.ERROR, "the model did not answer")),
        (StoreError, (5, 503, Severity.ERROR, "the documents cannot be searched at the moment")),
        (ResourceError, (5, 503, Severity.ERROR, "the documents cannot be searched at the moment")),
        (DocumentError, (6, 500, Severity.ERROR, "internal error")),
        (NothingRelevantError, (7, 404, Severity.WARNING, "nothing in the documents is relevant to the question")),
    ],
)
def test_each_error_class_defines_exit_code_http_status_and_public_message(
    kind: type[StreamragError], expected: tuple[int, int, Severity, str]
) -> None:
    exit_code, status, severity, shown = expected
    code = "nothing_relevant" if kind is NothingRelevantError else "made_up"
    reply = reply_to(kind("x at /srv/docs", code=code))

    assert (kind.exit_code, reply.status_code, kind.severity) == (exit_code, status, severity)
    assert json.loads(bytes(reply.body))["error"] == shown
    assert (class_of(exit_code).http_status, class_of(exit_code).severity) == (status, severity)


@pytest.mark.parametrize(("code", "status"), [("rate_limited", 429), ("context_too_long", 400), ("unreachable", 502)])
def test_some_model_server_failures_are_client_errors_over_http(code: str, status: int) -> None:
    assert http_status_of(code, ExitCode.MODEL_SERVER) == status


def test_an_exit_code_without_an_error_class_maps_to_the_base_class() -> None:
    assert class_of(ExitCode.TERMINATED) is StreamragError


@pytest.mark.parametrize("severity", Severity)
def test_severities_are_logging_levels(severity: Severity) -> None:
    assert severity == logging.getLevelName(severity.name)
