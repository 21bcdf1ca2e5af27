"""No library reports home: the one place that switches off what each of them would send unasked.

Importing the package applies it, so it holds before any library is loaded, in every process: commands, the engine, the
server and its workers, the parser's process, the store's inspection, tools, tests and benchmarks. What each library
would send, and to whom, is in `docs/decisions/dependencies.md`; `tests/faults/test_network_silence.py` watches the
sockets.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final

SWITCHES: Final = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: the machine, the interpreter's path, an id of the device to Microsoft
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "OTEL_SDK_DISABLED": "true",  # OpenTelemetry: chromadb and FastAPI can export to any collector
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "false",
    "LANGSMITH_TRACING": "false",  # LangChain: question, sources and answer to LangSmith
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # plugins of other packages may report what passes through pydantic
    "HF_HUB_OFFLINE": "1",  # tokenizers brings huggingface_hub, which is not to load anything
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Set in the environment of every process, whatever the user's says."""
_REMOVED: Final = ("CHROMA_", "OTEL_", "LANGSMITH_", "LANGCHAIN_")
"""Variables that begin so name collectors, servers and gateways. Chroma reads its own in any case of letters."""


def disable_telemetry(environ: MutableMapping[str, str] = os.environ) -> None:
    """Apply the switches to the environment of this process and of its children. May be called again."""
    for name in [each for each in environ if each.upper().startswith(_REMOVED)]:
        del environ[name]
    environ.update(SWITCHES)


def child_environment() -> dict[str, str]:
    """All that a Python process gets that is started for one task: where to import from, and the switches."""
    import_paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - resolve() would follow links
    return {"PYTHONPATH": os.pathsep.join(import_paths), "PYTHONUTF8": "1", **SWITCHES}


def active_telemetry(environ: Mapping[str, str]) -> list[str]:
    """The switches that do not hold in `environ`; none after `disable_telemetry`."""
    return sorted(name for name, value in SWITCHES.items() if environ.get(name) != value)
