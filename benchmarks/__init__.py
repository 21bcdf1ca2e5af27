import streamrag_cli  # noqa: F401 - disables libraries' telemetry before they are imported
