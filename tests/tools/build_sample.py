"""Rebuild data/sample from the Debian and PyPI packages that its photographs come from.

    python tests/tools/build_sample.py SCRATCH [OUT]

`sample_photos.csv` beside this file says which photographs, of which class and scene. Author, licence and address are
read from what each package itself says of that very file; a photograph of which it says nothing ends the run. Debian
packages are fetched with `apt-get download` into SCRATCH (about 80 MB), unless they lie there, and unpacked there.
scikit-image, scikit-learn and matplotlib must be installed. OUT is data/sample unless it is given.

The files in the repository are the sample. Another version of Pillow may write other bytes for the same photographs.
"""

import csv
import hashlib
import io
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

LONGEST_SIDE = 320  # pixels
JPEG = {"quality": 88, "subsampling": "4:4:4", "optimize": True}
DEBIAN = {  # package -> version
    "gcompris-qt-data": "3.1-2",
    "lomiri-wallpapers-16.04": "20.04.0-2",
    "palapeli-data": "4:22.12.3-1",
    "plasma-workspace-data": "4:5.27.5-2+deb12u2",
}
FOLDERS = {  # package -> where its photographs lie
    "gcompris-qt-data": "src/activities",
    "lomiri-wallpapers-16.04": "usr/share/backgrounds",
    "palapeli-data": "usr/share/palapeli/collection",
    "plasma-workspace-data": "usr/share/plasma/avatars/photos",
}
# Photographs of a class in test and in validation; the rest is for training.
HELD_OUT = {
    "animal": (6, 5),
    "building": (6, 4),
    "landscape": (3, 2),
    "thing": (2, 2),
    "people": (2, 1),
    "plant": (1, 1),
}
COLUMNS = ("file", "part", "class", "scene", "subject", "author", "licence", "source", "sha256")
LICENCES = {"Public Domain": "public domain", "Public domain": "public domain", "CC0-1.0": "CC0 1.0"}


@dataclass(frozen=True)
class Credit:
    author: str
    licence: str
    address: str  # where the photograph was published, "" if the package does not say


# What the PyPI packages say: scikit-image in the docstrings of `skimage.data`, scikit-learn in datasets/images/README
# (danielbuechele for the flower too, but the address there is vultilion's). matplotlib's file names its source in its
# JPEG comment; the portrait is an official one, and so in the public domain.
PYTHON = {
    "astronaut.png": Credit("NASA", "public domain", "https://flic.kr/p/r9qvLn"),
    "chelsea.png": Credit("Stéfan van der Walt", "CC0 1.0", ""),
    "coffee.png": Credit("Rachel Michetti", "CC0 1.0", ""),
    "rocket.jpg": Credit("SpaceX", "public domain", "https://www.flickr.com/photos/spacexphotos/16511594820/"),
    "china.jpg": Credit("danielbuechele", "CC BY 2.0", "https://www.flickr.com/photos/danielbuechele/6061409035/"),
    "flower.jpg": Credit("vultilion", "CC BY 2.0", "https://www.flickr.com/photos/vultilion/6056698931/"),
    "grace_hopper.jpg": Credit("U.S. Navy", "public domain", "http://commons.wikimedia.org/wiki/File:Grace_Hopper.jpg"),
}


def main(scratch: Path, out: Path) -> None:
    chosen = selection()
    contents = {package: unpacked(package, scratch) for package in DEBIAN}
    parts = split(chosen)
    (out / "photos").mkdir(parents=True, exist_ok=True)
    rows = []
    for row in chosen:
        encoded, path, credit = original(row["package"], row["path"], contents)
        file = out / "photos" / f"{row['name']}.jpg"
        file.write_bytes(smaller(encoded))
        version = DEBIAN.get(row["package"]) or metadata.version(row["package"])
        source = f"{row['package']} {version}: {path}"
        rows.append(
            {
                "file": f"photos/{file.name}",
                "part": parts[row["name"]],
                "class": row["class"],
                "scene": row["scene"],
                "subject": row["subject"],
                "author": credit.author,
                "licence": credit.licence,
                "source": f"{source} <{credit.address}>" if credit.address else source,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
        )
    for stray in {*(out / "photos").iterdir()} - {out / row["file"] for row in rows}:
        stray.unlink()
    with (out / "credits.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["file"]))


def selection() -> list[dict]:
    """The rows of sample_photos.csv: name, class, scene, subject, package, path (without the package's FOLDERS)."""
    with (Path(__file__).parent / "sample_photos.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def split(chosen: list[dict]) -> dict[str, str]:
    """Name -> part. Scenes in the order of their names' sha256; each goes to test, or else to validation, where all its
    photographs fit into what `HELD_OUT` leaves of its class there, and else to training."""
    scenes: dict[tuple[str, str], list[str]] = {}
    for row in chosen:
        scenes.setdefault((row["class"], row["scene"]), []).append(row["name"])
    left = {}
    for kind, (test, validation) in HELD_OUT.items():
        left[kind, "test"], left[kind, "validation"] = test, validation
    parts = {}
    for kind, scene in sorted(scenes, key=lambda key: hashlib.sha256(key[1].encode()).hexdigest()):
        names = scenes[kind, scene]
        part = next((part for part in ("test", "validation") if left[kind, part] >= len(names)), "train")
        if part != "train":
            left[kind, part] -= len(names)
        parts.update(dict.fromkeys(names, part))
    return parts


def smaller(encoded: bytes) -> bytes:
    """The photograph as a plain sRGB JPEG, upright, its longest side at most LONGEST_SIDE, without metadata."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    if profile := image.info.get("icc_profile"):
        image = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    image = image.convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    image.info.clear()
    saved = io.BytesIO()
    image.save(saved, "JPEG", **JPEG)
    return saved.getvalue()


def original(package: str, path: str, contents: dict[str, dict[str, bytes]]) -> tuple[bytes, str, Credit]:
    """The photograph's bytes, its path inside the package, and what the package says of it."""
    if package not in DEBIAN:
        module, _, inside = path.partition("/")
        return (resources.files(module) / inside).read_bytes(), path, PYTHON[Path(path).name]
    files = contents[package]
    path = f"{FOLDERS[package]}/{path}"
    credit = {
        "gcompris-qt-data": gcompris,
        "lomiri-wallpapers-16.04": lomiri,
        "palapeli-data": palapeli,
        "plasma-workspace-data": plasma,
    }[package](files, path)
    return files[path], path, credit


def gcompris(files: dict[str, bytes], path: str) -> Credit:
    """From the README in the folder of the photograph, or the next one above. The `copyright` of Debian's package is
    not used: it still describes the photographs of an older version, which had the same names."""
    folder = path.rpartition("/")[0]
    while f"{folder}/README" not in files:
        folder = folder.rpartition("/")[0]
    name = path.removeprefix(f"{folder}/")
    for paragraph in re.split(r"\n\s*\n", files[f"{folder}/README"].decode()):
        if name not in re.findall(r"[\w/.-]+\.webp", paragraph):
            continue
        fields = dict(re.findall(r"^(Copyright|License|Source|Comment): *(.+)$", paragraph, re.MULTILINE))
        author, address = fields["Copyright"].lstrip("©0123456789, "), fields.get("Source", "")
        based_on = re.search(r"based on an? (?:original image|photo) by (.+?), license .+?, source at (\S+)", paragraph)
        if based_on:
            author, address = f"{based_on[1]}; adapted by {author}", based_on[2]
        return Credit(author, licence(fields["License"]), address)
    raise SystemExit(f"{folder}/README says nothing of {name}")


def lomiri(files: dict[str, bytes], path: str) -> Credit:
    """From the package's `copyright`, which has a paragraph for each photograph."""
    said = files["usr/share/doc/lomiri-wallpapers-16.04/copyright"].decode()
    name = re.escape(Path(path).name)
    paragraph = re.search(rf"^Files: 16.04/{name}\nCopyright: (.+)\nLicense: (.+)$", said, re.MULTILINE)
    if not paragraph:
        raise SystemExit(f"the copyright of lomiri-wallpapers-16.04 says nothing of {path}")
    author = re.sub(r"^\d{4}\. |, \d{4}$", "", paragraph[1]).replace('"', "")
    return Credit(author, licence(paragraph[2]), re.search(r"^Source: (\S+)$", said, re.MULTILINE)[1])


def palapeli(files: dict[str, bytes], path: str) -> Credit:
    """From the .desktop file beside the photograph."""
    said = files[str(Path(path).with_suffix(".desktop"))].decode()
    author, website, licensed = (
        re.search(rf"^X-KDE-PluginInfo-{key}=(.+)$", said, re.MULTILINE)[1] for key in ("Author", "Website", "License")
    )
    return Credit(author, licence(licensed), website)


def plasma(files: dict[str, bytes], path: str) -> Credit:
    """From the .license file beside the photograph."""
    said = files[f"{path}.license"].decode()
    author = re.search(r"SPDX-FileCopyrightText: \d+ ([^<\n]+?) *<", said)[1]
    return Credit(author, licence(re.search(r"License-Identifier: (\S+)", said)[1]), re.search(r"https://\S+", said)[0])


def licence(said: str) -> str:
    """`CC-BY-SA 4.0` and `CC-BY-SA-4.0` as `CC BY-SA 4.0`."""
    return LICENCES.get(said) or re.sub(r"^CC-(BY|BY-SA)[- ](\d\.\d)$", r"CC \1 \2", said)


def unpacked(package: str, scratch: Path) -> dict[str, bytes]:
    """Path -> bytes of the photographs and statements in a Debian package. GCompris has them in Qt resource files."""
    archive = scratch / f"{package}_{DEBIAN[package].replace(':', '%3a')}_all.deb"
    if not archive.exists():
        subprocess.run(["apt-get", "download", f"{package}={DEBIAN[package]}"], cwd=scratch, check=True)
    folder = scratch / package
    if not folder.exists():
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    files = {}
    for file in folder.rglob("*"):
        if file.suffix == ".rcc":
            files.update(qt_resources(file.read_bytes()))
        elif file.is_file():
            files[file.relative_to(folder).as_posix()] = file.read_bytes()
    return files


def qt_resources(rcc: bytes) -> dict[str, bytes]:
    """Path -> bytes of what a Qt resource file holds (`rcc --binary`; big-endian, zlib or nothing)."""
    magic, version, tree, data, names = struct.unpack_from(">4s4I", rcc)
    if magic != b"qres" or version < 2:
        raise SystemExit("not a Qt resource file of version 2 or 3")
    files = {}
    folders = [(0, "")]  # entry in the tree, path before its name
    while folders:
        entry, before = folders.pop()
        at = tree + 22 * entry
        name, flags = struct.unpack_from(">IH", rcc, at)
        length = struct.unpack_from(">H", rcc, names + name)[0] if entry else 0  # the root has no name
        path = f"{before}/{rcc[names + name + 6 :][: 2 * length].decode('utf-16-be')}".lstrip("/")
        if flags & 2:  # a folder: how many entries, and the first of them
            count, first = struct.unpack_from(">II", rcc, at + 6)
            folders += [(child, path) for child in range(first, first + count)]
        else:  # after language and country, where the bytes lie, their number before them
            start = data + struct.unpack_from(">I", rcc, at + 10)[0]
            content = rcc[start + 4 :][: struct.unpack_from(">I", rcc, start)[0]]
            files[path.removeprefix("gcompris/")] = zlib.decompress(content[4:]) if flags & 1 else content
    return files


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit(__doc__)
    repository = Path(__file__).resolve().parents[2]
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else repository / "data" / "sample")
