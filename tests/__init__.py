import streamrag_cli  # noqa: F401 - disables telemetry before any library is imported
