"""One packed file a split, in a folder that outlasts the session (Drive): photos never lie there one by one."""

import contextlib
import hashlib
import tarfile
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files
from colorlib.sources.splits import PARTS, Split


def path_of(settings: Settings, name: str, fraction: float) -> Path | None:
    """Where the packed file of a data set is or will be; None without a folder that outlasts the session.

    Raises `ColorlibError` where that folder cannot be had, such as a mount that has vanished.
    """
    folder = settings.keep_folder
    if folder is None:
        return None
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}-{fraction:g}-seed{settings.seed}.tar"


def save(split: Split, pack: Path, progress: bool = True) -> None:
    """Keep split.json, its photos and their plain copies as one file, split.json last: who has that has all.

    Written whole or not at all. Where that fails, it is said and work goes on: the photos are on this machine, only the
    next one has to get them again.
    """
    photos = [photo for part in PARTS for photo in split.photos(part)]
    paths = [f"photos/{photo.path}" for photo in photos] + [photo.copy for photo in photos if photo.copy]
    partial = pack.with_name(f"{pack.name}.partial")  # one name: what a killed run left is written over
    try:
        files.require_space(pack.parent, sum(photo.bytes + 1024 for photo in photos), pack.name)
        with files.disk_errors(pack.parent):
            with tarfile.open(partial, "w") as archive:
                for path in tqdm([*paths, "split.json"], f"packing {pack.name}", leave=False, disable=not progress):
                    archive.add(split.home / path, path)
            partial.replace(pack)
    except ColorlibError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        print(f"{pack.name} could not be kept, and another machine will have to get the photos again. {error}")


def restore(pack: Path, home: Path, progress: bool = True) -> None:
    """Unpack split.json and its photos into `home`, each photo verified; `tarfile` writes nothing anywhere else.

    A damaged pack is told of and deleted, and gives no split.json.
    """
    print(f"Unpacking {pack.name}.")
    files.require_space(home, pack.stat().st_size, pack.name)
    with files.disk_errors(home):
        try:
            with tarfile.open(pack) as archive:
                for member in tqdm(archive, f"unpacking {pack.name}", leave=False, disable=not progress):
                    archive.extract(member, home, filter="data")
            split = Split.load(home / "split.json")
            for photo in (photo for part in PARTS for photo in split.photos(part)):
                if hashlib.sha256((split.folder / photo.path).read_bytes()).hexdigest() != photo.sha256:
                    raise tarfile.ReadError(f"{photo.path} is not what its split.json says")
        except (tarfile.TarError, ColorlibError, FileNotFoundError) as error:
            print(f"{pack.name} is damaged ({error}): the photos are fetched again, and it is packed again.")
            pack.unlink()
            (home / "split.json").unlink(missing_ok=True)
