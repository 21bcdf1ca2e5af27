"""Settings: flag > environment > settings file > default; nothing is read from the working directory."""

import os
import time
from pathlib import Path

import pytest

from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.settings import Settings, read_settings
from streamrag_cli.settings_table import SETTINGS
from tests.support.files import write


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / ".config" / "streamrag" / "config.toml"
    write(file, text)
    return file


def test_unset_settings_have_their_defaults(home: dict[str, str], tmp_path: Path) -> None:
    state = str(tmp_path / ".local/state/streamrag")

    assert read_settings({}, home) == Settings(store=tmp_path / ".local/share/streamrag", state_directory=state)


def test_a_flag_overrides_the_environment_which_overrides_the_file(home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, 'model = "from-file"\ncollection = "from-file"\ntop_k = 9\n')
    environment = home | {"STREAMRAG_MODEL": "from-variable", "STREAMRAG_COLLECTION": "from-variable"}

    settings = read_settings({"model": "from-flag", "collection": None}, environment)

    assert (settings.model, settings.collection, settings.top_k) == ("from-flag", "from-variable", 9)


def test_exclude_patterns_may_be_a_list_or_comma_separated(home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, 'exclude = ["drafts/", "*.csv"]\n')
    variable = home | {"STREAMRAG_EXCLUDE": "*.log, !keep.log"}

    assert read_settings({}, home).exclude == ("drafts/", "*.csv")
    assert read_settings({}, variable).exclude == ("*.log", "!keep.log")
    assert read_settings({"exclude": ["a/", "b/"]}, variable).exclude == ("a/", "b/")


def test_streamrag_variables_override_openai_variables(home: dict[str, str]) -> None:
    openai = home | {"OPENAI_API_KEY": "k1", "OPENAI_API_BASE": "http://old/v1"}

    assert read_settings({}, openai).base_url == "http://old/v1"
    assert read_settings({}, openai | {"OPENAI_BASE_URL": "http://new/v1"}).base_url == "http://new/v1"
    assert read_settings({}, openai | {"STREAMRAG_API_KEY": "k2"}).api_key == "k2"


def test_an_empty_variable_counts_as_unset(home: dict[str, str]) -> None:
    assert read_settings({}, home | {"OPENAI_API_KEY": "", "STREAMRAG_TOP_K": " "}) == read_settings({}, home)


def test_a_file_in_the_working_directory_is_not_read(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "cloned"
    project.mkdir()
    for name in (".env", "config.toml", "streamrag.toml", ".streamrag.toml"):
        (project / name).write_text('base_url = "http://evil.example"\nOPENAI_BASE_URL=http://evil.example\n')
    monkeypatch.chdir(project)

    assert read_settings({}, home).base_url is None


def test_relative_xdg_directories_are_ignored(home: dict[str, str], tmp_path: Path) -> None:
    settings = read_settings({}, home | {"XDG_DATA_HOME": "relative"})

    assert settings.store == tmp_path / ".local/share/streamrag"


def test_a_relative_store_path_becomes_absolute(home: dict[str, str]) -> None:
    assert read_settings({"store": "here"}, home).store == Path.cwd() / "here"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"top_k": "0"}, "--top-k: '0' must be a whole number from 1 to 100"),
        ({"top_k": "many"}, "--top-k: 'many' must be a whole number from 1 to 100"),
        ({"min_score": "nan"}, "--min-score: 'nan' must be a number from 0 to 1"),
        (
            {"collection": "../up"},
            "--collection: '../up' must be 1 to 63 letters, digits, dots, dashes or underscores,"
            " begin and end with a letter or digit, and not contain '..'",
        ),
    ],
)
def test_an_invalid_flag_is_a_usage_error(flags: dict[str, str], message: str, home: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(flags, home)

    assert caught.value.message == message


def test_an_invalid_variable_is_a_configuration_error(home: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home | {"STREAMRAG_TIMEOUT": "soon"})

    assert (caught.value.message, caught.value.hint) == (
        "STREAMRAG_TIMEOUT: 'soon' must be a number from 0.1 to 3600",
        "correct STREAMRAG_TIMEOUT",
    )


def test_an_unknown_setting_in_the_file_is_refused_by_name(home: dict[str, str], tmp_path: Path) -> None:
    file = write_file(tmp_path, 'modle = "x"\n')

    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home)

    assert caught.value.message == f"the settings file {file} contains unknown settings: modle"


def test_an_api_key_in_the_settings_file_is_refused(home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, 'api_key = "secret"\n')

    with pytest.raises(ConfigurationError, match="unknown settings: api_key"):
        read_settings({}, home)


def test_the_repr_of_settings_hides_the_api_key(tmp_path: Path) -> None:
    assert "secret" not in repr(Settings(store=tmp_path, api_key="secret"))


@pytest.mark.parametrize("broken", ["model = ", "\xff\xfe", "= 3"])
def test_a_settings_file_that_is_not_valid_toml_is_rejected(broken: str, home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, "").write_bytes(broken.encode("latin-1"))

    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home)

    assert caught.value.code == "bad_settings_file"


@pytest.mark.fault("settings-file-unusable")
@pytest.mark.parametrize("content", [f"top_k = {'9' * 5000}", f"exclude = {'[' * 900}{']' * 900}", "#" * 1_000_001])
def test_a_settings_file_with_extreme_content_is_rejected(content: str, home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, content)

    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home)

    assert caught.value.code == "bad_settings_file"


@pytest.mark.fault("settings-file-unusable")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (f"{'.'.join('a' * 100_000)} = 1", "bad_settings_file"),  # tomllib takes minutes for it
        (f"top_k = 0x{'f' * 5000}", "bad_setting"),
        (f"{'k' * 5000} = 1", "unknown_setting"),
    ],
)
def test_extreme_keys_and_numbers_are_rejected_with_a_short_message(
    content: str, code: str, home: dict[str, str], tmp_path: Path
) -> None:
    write_file(tmp_path, content)
    since_s = time.process_time()

    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home)

    assert (caught.value.code, len(caught.value.message) < 500) == (code, True)
    assert time.process_time() - since_s < 5


@pytest.mark.fault("settings-file-unusable")
def test_a_nul_in_the_settings_file_is_rejected(home: dict[str, str], tmp_path: Path) -> None:
    write_file(tmp_path, 'store = "/tmp/x\\u0000y"')

    with pytest.raises(ConfigurationError, match="must not contain a NUL character"):
        read_settings({}, home)


@pytest.mark.fault("settings-file-unusable")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_settings_file_that_is_not_a_regular_file_is_rejected(
    kind: str, home: dict[str, str], tmp_path: Path
) -> None:
    file = write_file(tmp_path, "")
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()

    with pytest.raises(ConfigurationError) as caught:
        read_settings({}, home)

    assert caught.value.code == "bad_settings_file"


def test_every_setting_has_its_own_variable() -> None:
    own = {variable for each in SETTINGS for variable in each.variables if variable.startswith("STREAMRAG_")}

    assert len(own) == len(SETTINGS)
    assert not own & set(os.environ)
