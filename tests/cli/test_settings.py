"""Settings: the order of sources, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coread.cli.app import main
from coread.cli.settings import load
from coread.errors import InputError


def test_options_stand_above_environment_above_file(tmp_path: Path) -> None:
    file = tmp_path / "coread.toml"
    file.write_text('port = 1000\nlanguage = "tr"\nreader = "file"\n')
    environment = {"COREAD_PORT": "2000", "COREAD_READER": "environment"}
    sourced = load(file, environment, {"reader": "option", "host": None})
    assert sourced.settings.port == 2000
    assert sourced.settings.language == "tr"
    assert sourced.settings.reader == "option"
    assert sourced.settings.host == "127.0.0.1"
    assert sourced.sources["port"] == "environment COREAD_PORT"
    assert sourced.sources["reader"] == "option"
    assert sourced.sources["host"] == "default"


@pytest.mark.parametrize(
    "text", ["colour = 'red'", "port = 'many'", "port = 99999", "language = 'xx'", "port ="]
)
def test_what_is_no_setting_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "coread.toml"
    file.write_text(text)
    with pytest.raises(InputError):
        load(file, {})


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no settings file"):
        load(tmp_path / "none.toml", {})


def test_show_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "coread.toml"
    file.write_text("port = 1234")
    with pytest.raises(SystemExit):
        main(["config", "show", "--config", str(file), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["port"] == {"value": "1234", "source": f"file {file}"}
