"""Disables all libraries' telemetry.

This happens when the package is imported, before any library is loaded, and in every process: commands, the engine, the
server and its workers, the parser process, the store's integrity check, tools, tests and benchmarks.
`docs/decisions/dependencies.md` lists what each library would send and where; `tests/faults/test_network_silence.py`
checks that no process sends anything.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final

SWITCHES: Final = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: machine data, the interpreter's path and a device id to Microsoft
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "OTEL_SDK_DISABLED": "true",  # OpenTelemetry: chromadb and FastAPI can export to a collector
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "false",
    "LANGSMITH_TRACING": "false",  # LangChain: question, sources and answer to LangSmith
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # plugins from other packages may report data that pydantic validates
    "HF_HUB_OFFLINE": "1",  # tokenizers depends on huggingface_hub, which must not download anything
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Variables that are set in every process, overriding the user's environment."""
_REMOVED: Final = ("CHROMA_", "OTEL_", "LANGSMITH_", "LANGCHAIN_")
"""The prefixes of variables to remove, because they configure collectors, servers and gateways. Their case is ignored,
because Chroma ignores it."""


def disable_telemetry(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the switches in `environ`, by default for this process and its children. Idempotent."""
    for name in [each for each in environ if each.upper().startswith(_REMOVED)]:
        del environ[name]
    environ.update(SWITCHES)


def child_environment() -> dict[str, str]:
    """Return the complete environment for a child process: import paths and the telemetry switches."""
    import_paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - resolve() would follow links
    return {"PYTHONPATH": os.pathsep.join(import_paths), "PYTHONUTF8": "1", **SWITCHES}


def active_telemetry(environ: Mapping[str, str]) -> list[str]:
    """Return the names of switches that are missing in `environ` or have another value."""
    return sorted(name for name, value in SWITCHES.items() if environ.get(name) != value)
