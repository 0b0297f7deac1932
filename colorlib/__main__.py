"""Colorize black-and-white photographs with transfer learning.

examples:
  python -m colorlib notebooks                                     the whole series
  python -m colorlib train baseline --data ~/photos                one model, on your own photos
  python -m colorlib evaluate                                      Table 1 of the trained models
  python -m colorlib colorize old/*.jpg --out colored              photos in color
"""

# A thin door to the functions that the notebooks call. Modules load when their command runs.

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (here, before an older Python meets what it does not know)
    sys.exit("colorlib needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try python3.12 -m colorlib")

import argparse
import importlib
from pathlib import Path

from colorlib import ColorlibError, __version__, settings


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 well, 1 something failed or was skipped, 2 not understood."""
    options = _parser().parse_args(arguments)
    flags = {name: value for name, value in vars(options).items() if name in settings.FIELDS}
    try:
        return options.command(options, settings.load(**flags)) or 0
    except ColorlibError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        advice = f"{sys.executable} -m pip install -r {settings.ROOT / 'requirements.txt'}"
        print(f"\nThe package {error.name} is missing. Install what colorlib needs: {advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m colorlib", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, usage: str, text: str) -> argparse.ArgumentParser:
        name = command.__name__.removeprefix("_")
        sub = commands.add_parser(name, help=text, description=text, usage=f"%(prog)s {usage}")
        sub.set_defaults(command=command)
        _add_settings(sub, name)
        return sub

    train = add(_train, "MODEL [settings]", "Train one model to the end, from wherever it stands.")
    train.add_argument("model", choices=settings.MODELS, help="baseline: Eq. 1. rebalanced: Eq. 2. efficientnet: Eq. 1")
    add(_evaluate, "[settings]", "Write Table 1 of the trained models and print it.")
    text = "Colorize photos, or whole folders of them, with a trained model."
    colorize = add(_colorize, "PHOTO... --out FOLDER [options] [settings]", text)
    colorize.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="an image file or a folder of them")
    colorize.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the colored photos go")
    colorize.add_argument("--run", default="", metavar="RUN", help="a trained model's name, or its run's folder")
    colorize.add_argument("--strength", type=float, default=1.0, metavar="S", help="1: as predicted (default), 0: gray")
    colorize.add_argument("--overwrite", action="store_true", help="make again what --out already holds")
    add(_runs, "[settings]", "List the trained and half-trained models.")
    add(_notebooks, "[settings]", "Execute the notebooks in order.")
    sync = add(_sync, "[--all | --check]", "For contributors: bring a notebook's halves in step, execute what changed.")
    sync.add_argument("--all", action="store_true", help="execute all of them")
    sync.add_argument("--check", action="store_true", help="change nothing; exit 1 where two halves differ")
    return parser


def _add_settings(parser: argparse.ArgumentParser, command: str) -> None:
    """A flag for every setting that concerns a command."""
    group = parser.add_argument_group("settings [default], each also a variable, such as COLORLIB_IMAGE_SIZE")
    for name, field in settings.FIELDS.items():
        if command in field.metadata["commands"]:
            text = settings.description(name).replace("%", "%%")
            group.add_argument(settings.flag(name), dest=name, metavar=name.strip("_").upper(), help=text)


def _import(module: str):
    """A module of colorlib that loads TensorFlow, without the lines that it prints on its way."""
    from colorlib.course import colab

    with colab.quiet():
        return importlib.import_module(f"colorlib.{module}")


def _train(options: argparse.Namespace, chosen: settings.Settings) -> None:
    run = _import("training").train(options.model, chosen)
    print(f"{options.model}: best epoch {run.best_epoch}. The run lies in {run.folder}.")


def _evaluate(options: argparse.Namespace, chosen: settings.Settings) -> None:
    table = _import("evaluation").table1(chosen, _import("sources").prepare(chosen))
    print(table.markdown)
    print(f"Written to {chosen.results_folder / 'table1.md'} and table1.csv.")


def _colorize(options: argparse.Namespace, chosen: settings.Settings) -> int:
    asked = {name: getattr(options, name) for name in ("run", "strength", "overwrite")}
    return _import("colorize").colorize_files(options.photos, options.out, chosen, **asked).exit_status


def _runs(options: argparse.Namespace, chosen: settings.Settings) -> None:
    print(_import("runs").table(chosen))


def _notebooks(options: argparse.Namespace, chosen: settings.Settings) -> None:
    from colorlib.course import notebooks

    copies = notebooks.run_all(chosen)
    print(f"\nThe executed notebooks: {copies[0].parent}")
    print(f"Table 1:                {chosen.results_folder / 'table1.md'} and table1.csv")
    print(f"The figures:            {chosen.results_folder / 'figures'}")


def _sync(options: argparse.Namespace, chosen: settings.Settings) -> int:
    from colorlib.course import notebooks

    if not options.check:
        notebooks.sync(chosen, options.all)
    elif apart := notebooks.out_of_step():
        print(f"The .py and the .ipynb differ: {', '.join(apart)}. Run `make sync`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
