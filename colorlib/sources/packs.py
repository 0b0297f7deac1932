"""One packed file a split, in a folder that outlasts the session (Drive): photos never lie there one by one."""

import contextlib
import hashlib
import io
import tarfile
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, http, tar
from colorlib.sources.splits import PARTS, Split, store


def place(settings: Settings, name: str, fraction: float) -> Path | None:
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
    """Keep split.json and its photos as one file, in the order of the split. Written whole or not at all.

    Where that fails, it is said and work goes on: the photos are on this machine, only the next one has to get them
    again.
    """
    every = [photo for part in PARTS for photo in split.photos(part)]
    names = {f"photos/{photo.path}": split.folder / photo.path for photo in every}
    size = sum(photo.bytes + 1024 for photo in every)
    partial = pack.with_name(f"{pack.name}.partial")  # one name: what a killed run left is written over
    try:
        files.require_space(pack.parent, size, pack.name)
        with files.disk_errors(pack.parent):
            with tarfile.open(partial, "w") as tar, http.bar(size, 0, f"packing {pack.name}", progress) as bar:
                for name, path in {"split.json": split.home / "split.json", **names}.items():
                    member, data = tarfile.TarInfo(name), path.read_bytes()
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
                    bar.update(len(data))
            partial.replace(pack)
    except ColorlibError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        print(f"{pack.name} could not be kept, and another machine will have to get the photos again. {error}")


def restore(pack: Path, home: Path, progress: bool = True) -> None:
    """What a packed file holds, each photo verified by the split.json in it. A damaged one is told of and deleted."""
    source, expected, split = http.Source(pack), {}, None
    print(f"Unpacking {pack.name}, {source.size / 1e9:.2f} GB.")
    files.require_space(home, source.size, pack.name)
    try:
        with http.bar(source.size, 0, f"reading {pack.name}", progress) as bar:
            for member, data in tar.read(http.watched(source.chunks(0, source.size), bar), pack.name):
                if split is None:
                    split = _split_in(data, home)
                    expected = {f"photos/{photo.path}": photo for part in PARTS for photo in split.photos(part)}
                elif (photo := expected.pop(member.name, None)) and hashlib.sha256(data).hexdigest() == photo.sha256:
                    store(home, photo.path, data, pack.name)
                else:
                    raise tar.ArchiveError(f"{member.name!r} is not what its split.json says")
        if split is None or expected:
            raise tar.ArchiveError(f"{len(expected) or 'all'} photos are missing")
    except tar.ArchiveError as error:
        print(f"{pack.name} is damaged ({error}): what is whole is used, the rest is fetched, and it is packed again.")
        pack.unlink()
    if split is not None and not (home / "split.json").exists():
        (home / "split.json.partial").replace(home / "split.json")


def _split_in(data: bytes, home: Path) -> Split:
    """The split.json of a packed file, kept as a partial file until its photos are there."""
    files.put(home / "split.json.partial", data)
    try:
        return Split.load(home / "split.json.partial")
    except ColorlibError as error:
        raise tar.ArchiveError(str(error)) from None
