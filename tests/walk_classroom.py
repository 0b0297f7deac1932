"""The profile `classroom` from a fresh folder to its Table 1, with a server on this machine in place of Places365's.

    python tests/walk_classroom.py PHOTOS [--number 600] [--image-size 64] [--epochs 2] [--backbone mobilenet]

PHOTOS is any folder of photos; that many of them are served as `val_256.tar`. Size, number of photos and checksum are
checked as ever: an IPython startup file, read by each notebook's kernel, puts those of this archive in the place of the
published ones. Nothing else differs from a real run. Prints a line a notebook with its time, then what was made.
"""

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from server import Server

ROOT = Path(__file__).resolve().parent.parent
STARTUP = """
import sys
sys.path.insert(0, {root!r})
from colorlib.sources import published
archive = published.Archive("val_256.tar", published.PLACES, {bytes}, {photos}, {sha256!r})
published.DATA_SETS["places365-val"] = ((archive, {{"train": 0.8, "validation": 0.1, "test": 0.1}}),)
"""


def main() -> int:
    """Walk the series. The exit status is that of `colorlib notebooks`, or 1 where the server was not asked."""
    options = parse()
    archive = served(options.photos, options.number)
    with tempfile.TemporaryDirectory() as folder, Server({"val_256.tar": archive}) as server:
        root = fresh_copy(Path(folder) / "colorization-course")
        startup = Path(folder) / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        sha256 = hashlib.sha256(archive).hexdigest()
        told = STARTUP.format(root=str(root), bytes=len(archive), photos=options.number, sha256=sha256)
        (startup / "00-stand-in.py").write_text(told)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB_")} | {
            "IPYTHONDIR": str(startup.parent.parent),
            "COLORLIB_PROFILE": "classroom",
            "COLORLIB_MIRROR": server.url,
            "COLORLIB_BACKBONE": options.backbone,
            "COLORLIB_EFFICIENTNET": options.backbone,
            "COLORLIB_WEIGHTS": "imagenet",
            "COLORLIB_IMAGE_SIZE": str(options.image_size),
            "COLORLIB_EPOCHS": str(options.epochs),
        }
        done = subprocess.run([sys.executable, "-m", "colorlib", "notebooks"], cwd=root, env=environment)
        print(f"\nThe server was asked {len(server.log)} times, for {server.asked:,} bytes; it has {len(archive):,}.")
        if done.returncode == 0:
            results = root / "results" / "classroom"
            print((results / "table1.md").read_text())
            if options.keep:
                shutil.copytree(results, options.keep, dirs_exist_ok=True)
        return done.returncode or int(server.asked < len(archive))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photos, folders inside included")
    parser.add_argument("--number", type=int, default=600)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--backbone", default="mobilenet", help="of all three models, with ImageNet's weights")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the results there")
    return parser.parse_args()


def served(folder: Path, number: int) -> bytes:
    """A tar archive like val_256.tar, flat, of the first photos of a folder."""
    found = sorted(folder.rglob("*.jpg"))[:number]
    if len(found) < number:
        raise SystemExit(f"{folder} holds {len(found)} photos named *.jpg; {number} are needed.")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for index, path in enumerate(found, 1):
            member = tarfile.TarInfo(f"val_256/Places365_val_{index:08}.jpg")
            member.size = path.stat().st_size
            with path.open("rb") as photo:
                tar.addfile(member, photo)
    return file.getvalue()


def fresh_copy(root: Path) -> Path:
    """The project's files as they are now, as a fresh clone has them, with the notebooks made from their .py halves."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    sources = sorted(map(str, (root / "notebooks").glob("[0-9]*.py")))
    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--update", "--to", "ipynb", *sources], check=True)
    return root


if __name__ == "__main__":
    sys.exit(main())
