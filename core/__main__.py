"""The command line: `python -m core --help`."""

import json
import logging
import os
import sys

# Idle OpenMP threads spin by default: on a machine with other work, every step then waits for a core that spins, and a
# training takes many times as long. This must stand before anything loads OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer  # noqa: E402
from rich.logging import RichHandler  # noqa: E402

from core.cli import audit, data, guidelines, judging, labels, rubric, selections, work  # noqa: E402
from core.cli.console import HomeOption, errors  # noqa: E402
from core.errors import SettingsError, WinnowError  # noqa: E402

app = typer.Typer(
    name="winnow",
    help="Winnow: tell hard positives from noisy ones in a click log, and train a recommender on what remains.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app)
app.add_typer(work.app)
app.add_typer(judging.app, name="judge")
app.add_typer(labels.app, name="labels")
app.add_typer(rubric.app, name="rubric")
app.add_typer(rubric.asking)
app.add_typer(audit.app, name="audit")
app.add_typer(selections.app, name="selections")
app.add_typer(guidelines.app, name="guidelines")


@app.callback()
def main(context: typer.Context, home: HomeOption = None) -> None:
    context.obj = home


def run(arguments: list[str]) -> int:
    """Carry out one command line. Exit codes: 0 done, 1 it could not be done, 2 it was asked wrongly."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)])
    if "work" in arguments[:3]:  # the stderr of a job's process is its log
        logging.getLogger("core").setLevel(logging.INFO)
    try:
        return app(arguments, prog_name="python -m core", standalone_mode=False) or 0
    except SettingsError as error:
        return _fail(arguments, error.message, error.hint, 2)
    except WinnowError as error:
        return _fail(arguments, error.message, error.hint, 1)
    except OSError as error:
        message = f"{error.filename or 'A file'}: {error.strerror or error}."
        return _fail(arguments, message, "Check the path, its permissions and the free space, or choose another --home.", 1)
    except typer.TyperException as error:
        return _fail(arguments, error.format_message(), "See python -m core --help.", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(arguments, "Stopped.", "", 1)


def _fail(arguments: list[str], message: str, hint: str, code: int) -> int:
    if "--json" in arguments:
        typer.echo(json.dumps({"error": message, "hint": hint}, ensure_ascii=False))
    else:
        errors.print(f"{message} {hint}".strip(), style="red", highlight=False, markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
