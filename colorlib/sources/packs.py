"""One packed file a split, in a folder that outlasts the session (Drive): photos never lie there one by one."""

import tarfile
from pathlib import Path

from tqdm.auto import tqdm

from colorlib.settings import Settings
from colorlib.sources import files
from colorlib.sources.splits import PARTS, Split


def path_of(settings: Settings, fraction: float) -> Path | None:
    """Where the packed file of a data set is or will be; None without a folder that outlasts the session."""
    name = f"{settings.data_name}-{fraction:g}-seed{settings.seed}.tar"
    return settings.keep_folder / name if settings.keep_folder else None


def save(split: Split, pack: Path, progress: bool = True) -> None:
    """Keep split.json, its photos and their plain copies as one file, split.json last: who has that has all.

    Written whole or not at all. Where that fails, it is said and work goes on: the photos are on this machine, only the
    next one has to get them again.
    """
    photos = split.photos(*PARTS)
    paths = [f"photos/{photo.path}" for photo in photos] + [photo.copy for photo in photos if photo.copy]
    try:
        pack.parent.mkdir(parents=True, exist_ok=True)
        with files.aside(pack) as part, tarfile.open(part, "w") as archive:
            for path in tqdm([*paths, "split.json"], f"packing {pack.name}", leave=False, disable=not progress):
                archive.add(split.home / path, path)
    except OSError as error:
        reason = f"{error.strerror}. Another machine will have to get the photos again"
        print(f"{pack.name} could not be kept: {reason}.")


def split_in(home: Path, pack: Path | None, progress: bool = True) -> Split | None:
    """The split that lies in `home`, unpacked before where only a packed file has it; None where there is none.

    `tarfile` writes nothing outside of `home`. A pack that is not whole is told of and deleted.
    """
    file = home / "split.json"
    if pack and pack.exists() and not file.exists():
        print(f"Unpacking {pack.name}.")
        try:
            with tarfile.open(pack) as archive:
                members = tqdm(archive, f"unpacking {pack.name}", leave=False, disable=not progress)
                archive.extractall(home, members, filter="data")
            return Split.load(file)
        except (tarfile.TarError, FileNotFoundError) as error:
            print(f"{pack.name} is damaged ({error}): the photos are fetched again, and it is packed again.")
            pack.unlink()
    return Split.load(file) if file.exists() else None
