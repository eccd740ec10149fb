"""The command line: one table of commands, each imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from coread.cli.common import Exit, report_error
from coread.errors import CoreadError, TransportError

# name: (module, one line); a noun with verbs is a group of its own
COMMANDS = {
    "read": ("coread.cli.read", "Read studies from files or folders and write results to a folder."),
    "serve": ("coread.cli.serve", "Serve the reading page over a library."),
    "demo": ("coread.cli.demo", "Make a simulated demo library, process it and serve it."),
    "models": ("coread.cli.models", "Models: list, show, verify, evaluate, import, enable, threshold."),
    "train": ("coread.cli.train", "Train a model."),
    "radiomics": ("coread.cli.radiomics", "Radiomics: extract, verify, stability."),
    "evaluate": ("coread.cli.evaluate", "Evaluate: reader studies, calibration, subgroups, drift and more."),
    "report": ("coread.cli.report", "Report text: structure, labels."),
    "guideline": ("coread.cli.guideline", "What a guideline says of a finding."),
    "differential": ("coread.cli.differential", "Ranked diagnoses from findings."),
    "config": ("coread.cli.config", "Settings: show where each value comes from."),
    "doctor": ("coread.cli.doctor", "Check this installation."),
    "audit": ("coread.cli.audit", "Audit log: show and verify."),
}

# typer has its own copy of click and re-exports only the leaves of its exceptions
UsageProblem: Any = typer.BadParameter.__mro__[2]


class LazyCommands(TyperGroup):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands that are there."""
        return [name for name, (module, _) in COMMANDS.items() if _exists(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or a stand-in with its one line while the help is listed."""
        if cmd_name not in COMMANDS or not _exists(COMMANDS[cmd_name][0]):
            return None
        module, line = COMMANDS[cmd_name]
        if getattr(self, "listing", False):
            return _stand_in(cmd_name, line)
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing them."""
        self.listing = True
        super().format_commands(ctx, formatter)
        self.listing = False


def _stand_in(name: str, line: str) -> Any:
    listed = typer.Typer(add_completion=False)
    listed.command(name, help=line)(lambda: None)
    return typer.main.get_command(listed)


def _exists(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"coread {version('coread')}")
        raise typer.Exit


@app.callback()
def coread(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """CoRead, the radiologist's second reader. A research tool, not for diagnosis."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error becomes three lines and an exit code here and nowhere else."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except UsageProblem as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(Exit.CANCELLED)
    except CoreadError as error:
        sys.exit(report_error(error))
    except BrokenPipeError:  # who reads the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.CANCELLED)
    except OSError as error:  # a disk that is full or taken away, at any place
        disk = TransportError(
            str(error), "a disk that can be read and written", "check the path and its rights"
        )
        sys.exit(report_error(disk))
    sys.exit(code or 0)
