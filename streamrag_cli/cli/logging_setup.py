"""Discards libraries' logs and warnings or, with --debug, prints them with keys masked."""

import logging
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Final

from streamrag_cli.cli.process import Process
from streamrag_cli.server_keys import split_keys
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS
from streamrag_cli.store.registry import open_store, store_address
from streamrag_cli.text import sanitise, without_secret

_KEY_VARIABLES: Final = tuple(
    variable for setting in (*SETTINGS, *SERVER_SETTINGS) for variable in setting.variables if setting.secret
)
_SERVER_KEY_VARIABLES: Final = {
    variable for setting in SERVER_SETTINGS if setting.name == "server_key" for variable in setting.variables
}


class SafeFormatter(logging.Formatter):
    """Formats log lines without control characters, and masks the keys that `environment` contains."""

    def __init__(self, template: str, environment: Mapping[str, str]) -> None:
        super().__init__(template)
        self._environment = environment

    def format(self, record: logging.LogRecord) -> str:
        return without_keys(sanitise(super().format(record)), self._environment)


def configure_library_logging(process: Process) -> None:
    """Send libraries' logs and warnings to stderr with --debug; otherwise discard them."""
    if process.debug:
        handler: logging.Handler = logging.StreamHandler(process.err)
        handler.setFormatter(SafeFormatter("%(name)s: %(message)s", process.environment))
        logging.captureWarnings(True)
        for name in ("streamrag", "streamrag_cli"):  # the tracebacks of expected failures are logged at this level
            logging.getLogger(name).setLevel(logging.DEBUG)
    else:
        handler = logging.NullHandler()
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda _: None
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
    logging.getLogger().addHandler(handler)


def without_keys(text: str, environment: Mapping[str, str]) -> str:
    """Mask the keys and passwords from `environment` in `text`, such as an error message or a log line."""
    for variable in _KEY_VARIABLES:
        for key in _keys_in(variable, environment):
            text = without_secret(text, key, "[key]")
    return _without_passwords(text, environment)


def _keys_in(variable: str, environment: Mapping[str, str]) -> list[str]:
    """Return the keys in an environment variable. A server's variable may contain several keys."""
    raw = environment.get(variable, "").strip()
    return [raw] if variable not in _SERVER_KEY_VARIABLES else [raw, *(each.key for each in split_keys(raw))]


def _without_passwords(text: str, environment: Mapping[str, str]) -> str:
    """Mask the passwords in the store URL in `environment`."""
    try:
        address = store_address(environment.get("STREAMRAG_STORE", "").strip())
    except ValueError:
        return text
    for secret in open_store(address).secrets:
        text = text.replace(secret, "[password]")
    return text
