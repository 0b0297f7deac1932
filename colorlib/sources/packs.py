"""One packed file a split, in a folder that outlasts the session (Drive): photos never lie there one by one."""

import tarfile
from pathlib import Path

from colorlib.settings import Settings
from colorlib.sources import files
from colorlib.sources.splits import Split


def path_of(settings: Settings, fraction: float) -> Path | None:
    """Where the packed file of a data set is or will be; None without a folder that outlasts the session."""
    name = f"{settings.data_name}-{fraction:g}-seed{settings.seed}.tar"
    return settings.keep_folder / name if settings.keep_folder else None


def save(split: Split, pack: Path) -> None:
    """Keep the split's home as one file, split.json last: who has that has all.

    Written whole or not at all. Where that fails, it is said and work goes on: the photos are on this machine, only the
    next one has to get them again.
    """
    print(f"Packing {pack.name}.")
    try:
        pack.parent.mkdir(parents=True, exist_ok=True)
        with files.aside(pack) as part, tarfile.open(part, "w") as archive:
            for name in ("photos", "rewritten", "split.json"):
                if (split.home / name).exists():
                    archive.add(split.home / name, name)
    except OSError as error:
        print(f"{pack.name} could not be kept: {error.strerror}. Another machine will have to get the photos again.")


def split_in(home: Path, pack: Path | None) -> Split | None:
    """The split that lies in `home`, unpacked before where only a packed file has it; None where there is none.

    `tarfile` writes nothing outside of `home`. A pack that is not whole is told of and deleted.
    """
    file = home / "split.json"
    if pack and pack.exists() and not file.exists():
        print(f"Unpacking {pack.name}.")
        try:
            with tarfile.open(pack) as archive:
                archive.extractall(home, filter="data")
            return Split.load(file)
        except (tarfile.TarError, FileNotFoundError) as error:
            print(f"{pack.name} is damaged ({error}): the photos are fetched again, and it is packed again.")
            pack.unlink()
    return Split.load(file) if file.exists() else None
