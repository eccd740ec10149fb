"""The command line's frame: help, versions, wrong use, errors and their codes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from coread.cli import common
from coread.cli.app import COMMANDS, main
from coread.errors import (
    AnalysisError,
    CancelledError,
    CoreadError,
    DataError,
    InputError,
    MissingExtraError,
    NotApplicableError,
    TransportError,
)


def leave(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_the_help_lists_commands_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("--help") == 0
    out = capsys.readouterr().out
    assert "read" in out
    assert COMMANDS["read"][1][:30] in out
    assert "not for diagnosis" in out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("--version") == 0
    assert capsys.readouterr().out.strip() == f"coread {version('coread')}"


def test_wrong_use_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("juggle") == 2
    assert "juggle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 3),
        (DataError("x"), 3),
        (NotApplicableError("x"), 4),
        (MissingExtraError("torch", "train"), 5),
        (TransportError("x"), 6),
        (CancelledError("x"), 130),
        (AnalysisError("x"), 1),
    ],
)
def test_every_kind_of_error_has_its_code_and_three_lines(
    error: CoreadError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert common.report_error(error) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 3


def test_a_disk_that_fails_is_told_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> int:
        raise OSError(28, "No space left on device", "results.json")

    monkeypatch.setattr("coread.cli.app.app", full)
    assert leave("read") == 6
    said = capsys.readouterr().err
    assert "results.json" in said
    assert len(said.strip().splitlines()) == 3


def test_a_reader_of_the_output_may_have_enough() -> None:
    code = (
        "import os, coread.cli.app as frame\n"
        "frame.app = lambda **_: [print('x' * 70000, flush=True) for _ in range(50)]\n"
        "frame.main([])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.read(10)
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 130


def test_a_target_that_is_there_is_kept(tmp_path: Path) -> None:
    taken = tmp_path / "taken.json"
    taken.write_text("{}")
    for path in (taken, tmp_path):
        with pytest.raises(InputError, match="there already"):
            common.check_target(path, force=False)
        common.check_target(path, force=True)
    common.check_target(tmp_path / "new", force=False)


def test_importing_the_package_and_asking_for_help_is_quick_and_light() -> None:
    code = (
        "import sys, coread, coread.cli.app\n"
        "heavy = {'numpy', 'pydicom', 'fastapi', 'scipy', 'pandas', 'onnxruntime'} & set(sys.modules)\n"
        "import json; print(json.dumps(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
