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
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    except ColorlibError as error:
        print(f"\n{error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        advice = f"{sys.executable} -m pip install -r {settings.ROOT / 'requirements.txt'}"
        print(f"\nThe package {error.name} is missing. Install what colorlib needs: {advice}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    """Each command with its own arguments first, then a flag for every setting that concerns it."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m colorlib", description=__doc__, formatter_class=raw)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for command in (_train, _evaluate, _colorize, _runs, _notebooks):
        name, text = command.__name__[1:], command.__doc__
        commands.add_parser(name, help=text, description=text).set_defaults(command=command)
    train, _, colorize, _, notebooks = commands.choices.values()
    train.add_argument("model", metavar="MODEL", choices=settings.MODELS, help=", ".join(settings.MODELS))
    colorize.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="an image file or a folder of them")
    colorize.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the colored photos go")
    run = "a trained model's name; without it, the colorizer in the box"
    colorize.add_argument("--run", default="", metavar="RUN", help=run)
    vividness = "0: pale and safe, 1: bold and often wrong; the box alone, and runs of vivid"
    colorize.add_argument("--vividness", type=float, metavar="V", help=vividness)
    colorize.add_argument(
        "--lambda", type=float, dest="lambda_of_answer", metavar="L", help="λ of Eq. 3, 0 to 1, of vividness"
    )
    colorize.add_argument("--temperature", type=float, metavar="T", help="0.1 to 2; below 1 likely colors count more")
    colorize.add_argument("--strength", type=float, default=1.0, metavar="S", help="1: as predicted (default), 0: gray")
    colorize.add_argument("--overwrite", action="store_true", help="make again what --out already holds")
    notebooks.add_argument("numbers", nargs="*", metavar="NUMBER", help="such as 04; without any, all are executed")
    for name, sub in commands.choices.items():
        concerned = [setting for setting, field in settings.FIELDS.items() if name in field.metadata["commands"]]
        sub.usage = " ".join(sub.format_usage().split()[1:]) + " [settings]" * bool(concerned)  # not thirty flags
        group = sub.add_argument_group("settings [default], each also a variable, such as COLORLIB_IMAGE_SIZE")
        for setting in concerned:
            text = settings.description(setting).replace("%", "%%")
            group.add_argument(settings.flag(setting), dest=setting, metavar=setting.strip("_").upper(), help=text)
    return parser


def _import(module: str):
    """A module of colorlib that loads TensorFlow, without the lines that it prints on its way."""
    from colorlib.course import colab

    with colab.quiet():
        loaded = importlib.import_module(f"colorlib.{module}")
        if "tensorflow" in sys.modules:
            colab.accelerator()  # the first look for a GPU prints lines as well
    return loaded


def _train(options, chosen: settings.Settings) -> None:
    """Train one model to the end, from wherever it stands."""
    run = _import("training").train(options.model, chosen)
    print(f"{options.model}: best epoch {run.best_epoch}. The run lies in {run.folder}.")


def _evaluate(options, chosen: settings.Settings) -> None:
    """Write Table 1 of the trained models and print it."""
    table = _import("evaluation").table1(chosen, _import("sources").prepare(chosen))
    print(f"{table.markdown}\nWritten to {chosen.results_folder / 'table1.md'} and table1.csv.")


def _colorize(options, chosen: settings.Settings) -> int:
    """Colorize photos, or whole folders of them, with a trained model."""
    asked = (options.photos, options.out, chosen, options.run, options.strength, options.overwrite)
    flags = {"vividness": options.vividness, "lambda_": options.lambda_of_answer, "temperature": options.temperature}
    choices = {name: value for name, value in flags.items() if value is not None}
    return _import("colorize").colorize_files(*asked, **choices).exit_status


def _runs(options, chosen: settings.Settings) -> None:
    """List the trained and half-trained models."""
    print(_import("runs").table(chosen))


def _notebooks(options, chosen: settings.Settings) -> None:
    """Execute the notebooks in order."""
    _import("course.notebooks").run_all(chosen, options.numbers)
    print(f"\nThe executed notebooks, Table 1 and the figures lie in {chosen.results_folder}.")


if __name__ == "__main__":
    sys.exit(main())
