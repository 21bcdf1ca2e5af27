import streamrag_cli  # noqa: F401 - disables telemetry of libraries before they are imported
