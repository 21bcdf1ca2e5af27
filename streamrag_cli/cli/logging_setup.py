"""What libraries log or warn of: kept off stderr, or with --debug safe to read there."""

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
    """Log lines of any library, safe for a terminal and without the keys of this environment."""

    def __init__(self, form: str, environment: Mapping[str, str]) -> None:
        super().__init__(form)
        self._environment = environment

    def format(self, record: logging.LogRecord) -> str:
        return without_keys(sanitise(super().format(record)), self._environment)


def configure_library_logging(process: Process) -> None:
    """Without --debug what libraries log or warn of stays off stderr, which is a person's."""
    if process.debug:
        handler: logging.Handler = logging.StreamHandler(process.err)
        handler.setFormatter(SafeFormatter("%(name)s: %(message)s", process.environment))
        logging.captureWarnings(True)
        for own in ("streamrag", "streamrag_cli"):  # expected failures, too, have a traceback
            logging.getLogger(own).setLevel(logging.DEBUG)
    else:
        handler = logging.NullHandler()
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda _: None
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
    logging.getLogger().addHandler(handler)


def without_keys(text: str, environment: Mapping[str, str]) -> str:
    """`text` without the keys of an environment: exceptions and log lines of other libraries may hold one."""
    for variable in _KEY_VARIABLES:
        for key in _keys_in(variable, environment):
            text = without_secret(text, key, "[key]")
    return _without_password(text, environment)


def _keys_in(variable: str, environment: Mapping[str, str]) -> list[str]:
    """The keys that a variable holds; a server's may hold several, each of which could be shown by itself."""
    raw = environment.get(variable, "").strip()
    return [raw] if variable not in _SERVER_KEY_VARIABLES else [raw, *(each.key for each in split_keys(raw))]


def _without_password(text: str, environment: Mapping[str, str]) -> str:
    """`text` without the password that the environment's store address may hold."""
    try:
        address = store_address(environment.get("STREAMRAG_STORE", "").strip())
    except ValueError:
        return text
    password = open_store(address).password
    return text.replace(password, "[password]") if password else text
