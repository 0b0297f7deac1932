"""`python -m colorlib`: a thin door to the functions that the notebooks call. Modules load when their command runs."""

import argparse
import sys
from pathlib import Path

from colorlib import ColorlibError, __version__, settings

EXAMPLES = """examples:
  python -m colorlib notebooks                                     the whole series, on the sample
  python -m colorlib train baseline --data ~/photos                one model, on your own photos
  python -m colorlib evaluate                                      Table 1 of the trained models
  python -m colorlib colorize old/*.jpg --out colored              photos in color
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 well, 1 something failed or was skipped, 2 not understood."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except ColorlibError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m colorlib",
        description="Colorize black-and-white photographs with transfer learning.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, formatter_class=argparse.RawTextHelpFormatter)
        sub.set_defaults(command=command)
        _add_settings(sub)
        return sub

    train = add("train", _train, "Train one model to the end, from wherever it stands.")
    train.add_argument("model", choices=settings.MODELS, help="baseline: Eq. 1. rebalanced: Eq. 2. efficientnet: Eq. 1")
    add("evaluate", _evaluate, "Write Table 1 of the trained models and print it.")
    colorize = add("colorize", _colorize, "Colorize photos, or whole folders of them, with a trained model.")
    colorize.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="an image file or a folder of them")
    colorize.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the colored photos go")
    colorize.add_argument("--run", default="", metavar="RUN", help="a trained model's name, or its run's folder")
    colorize.add_argument(
        "--strength", type=float, default=1.0, metavar="S", help="1: as predicted, 0: gray (default 1)"
    )
    colorize.add_argument("--overwrite", action="store_true", help="make again what --out already holds")
    add("runs", _runs, "List the trained and half-trained models.")
    add("notebooks", _notebooks, "Execute the eight notebooks in order.")
    sync = add("sync", _sync, "For contributors: bring both halves of the notebooks in step, execute what changed.")
    sync.add_argument("--all", action="store_true", help="execute all of them")
    sync.add_argument("--check", action="store_true", help="change nothing; exit 1 where two halves differ")
    fork = add("fork", _fork, "For forks: rewrite every badge, page and setup cell for your own repository.")
    fork.add_argument("repository", nargs="?", default="", metavar="OWNER/REPO", help="default: that of git's origin")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings (each also an environment variable, such as COLORLIB_DATA)")
    group.add_argument(
        "--profile", default="", help=f"auto, {', '.join(settings.PROFILES)} (default auto: sample, on Colab classroom)"
    )
    group.add_argument("--data", help="a folder of photos, or the name of a data set")
    group.add_argument(
        "--backbone",
        choices=settings.BACKBONES,
        metavar="NAME",
        help="for all models: " + ", ".join(settings.BACKBONES),
    )
    group.add_argument("--weights", help="imagenet, none (random) or a file of weights")
    group.add_argument("--image-size", type=int, metavar="PIXELS", help="side of the images that the models see")
    group.add_argument("--epochs", type=int, help="epochs at the most")
    group.add_argument(
        "--results", dest="results_folder", type=Path, metavar="FOLDER", help="where runs and tables lie"
    )


def _settings(options: argparse.Namespace) -> settings.Settings:
    names = ("data", "weights", "image_size", "epochs", "results_folder")
    changes = {name: getattr(options, name) for name in names}
    return settings.load(options.profile, backbone=options.backbone, efficientnet=options.backbone, **changes)


def _train(options: argparse.Namespace) -> None:
    from colorlib import training

    run = training.train(options.model, _settings(options))
    print(f"{options.model}: best epoch {run.best_epoch}. The run lies in {run.folder}.")


def _evaluate(options: argparse.Namespace) -> None:
    from colorlib import evaluation, sources

    chosen = _settings(options)
    table = evaluation.table1(chosen, sources.prepare(chosen))
    print(table.markdown)
    print(f"Written to {chosen.results_folder / 'table1.md'} and table1.csv.")


def _colorize(options: argparse.Namespace) -> int:
    from colorlib import colorize

    report = colorize.colorize_files(
        options.photos,
        options.out,
        _settings(options),
        run=options.run,
        strength=options.strength,
        overwrite=options.overwrite,
    )
    return report.exit_status


def _runs(options: argparse.Namespace) -> None:
    from colorlib import runs

    print(runs.table(_settings(options)))


def _notebooks(options: argparse.Namespace) -> None:
    from colorlib.course import notebooks

    chosen = _settings(options)
    copies = notebooks.run_all(chosen)
    results = chosen.results_folder
    print(f"\nThe executed notebooks: {copies[0].parent}")
    print(f"Table 1:                {results / 'table1.md'} and table1.csv")
    print(f"The figures:            {results / 'figures'}")


def _sync(options: argparse.Namespace) -> int:
    from colorlib.course import notebooks

    if not options.check:
        notebooks.sync(_settings(options), options.all)
    elif apart := notebooks.out_of_step():
        print(f"The .py and the .ipynb differ: {', '.join(apart)}. Run `make sync`.", file=sys.stderr)
        return 1
    return 0


def _fork(options: argparse.Namespace) -> None:
    from colorlib.course import badges

    changed = badges.fork(options.repository)
    print(f"{len(changed)} files rewritten: badges and setup cells now point to {badges.repository()}.")


if __name__ == "__main__":
    sys.exit(main())
