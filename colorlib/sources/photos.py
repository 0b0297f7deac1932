"""What is a photograph in a folder, and any one photograph to upright sRGB, or a named reason why not.

Memory: a photo of n pixels needs about 12 n bytes while it is read, and one of more than `MAX_PIXELS` is refused by
its header, before anything is decoded: never more than about 1.7 GB, whatever a file claims to be.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from colorlib import ColorlibError
from colorlib.sources import tiff

MAX_PIXELS = 12_000 * 12_000

# EPS and PostScript run a program, WMF asks Windows, and the others are names without a decoder.
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
_SRGB = ImageCms.createProfile("sRGB")
_CUT_SHORT = ("truncated", "unexpected end", "not enough", "buffer is not large", "eof", "incomplete", "no more data")


class PhotoError(ColorlibError):
    """Why a file is no photograph that can be read: `str(error)` is the reason, and starts with one of
    "missing", "no permission", "a folder", "a special file", "empty", "not an image", "a raw file", "a HEIC photo",
    "a video", "cut short", "too many pixels", "no content", "not read" (a kind of TIFF) or "damaged".
    """


class OutOfMemory(ColorlibError, MemoryError):
    """A photograph that may be whole, but that this machine has no memory to read now."""


@dataclasses.dataclass(frozen=True)
class Photograph:
    """All that a file tells of a photograph."""

    image: Image.Image  # upright, sRGB, mode "RGB"; transparency not applied
    gray: np.ndarray | None  # uint16 (height, width), sRGB-encoded: gray of more than 8 bits a pixel at its full depth
    alpha: Image.Image | None  # upright, mode "L", where the file has transparency
    metadata: dict  # for `Image.save(..., "PNG", **metadata)`, what there is of "exif" (orientation reset), "dpi" and
    #                 "pnginfo": all texts, XMP among them
    notes: tuple[str, ...]  # what the reader of the result should know: "the first of several frames", ...


# Which files of a folder are photographs.

RAW = "raw files of a camera"
HEIC = "HEIC photos"
VIDEOS = "videos"
SIDECARS = "notes of cameras and programs on photos"
SYSTEM = "previews and hidden files of other programs"
LINKS = "links to folders"
LOCKED = "folders that may not be read"
SPECIAL = "pipes, devices and sockets"  # to open one may wait forever
OTHER = "other files"
ADVICE = {
    RAW: "Develop them first, as TIFF or JPEG",
    HEIC: "Run `pip install pillow-heif` and then this once more, or save them as JPEG",
    LOCKED: "Ask their owner for the permission",
}
# Photos are told by their endings: a look into every file would take hours where a folder lies on a network.
_PHOTO_ENDINGS = (
    "jpg jpeg jpe jfif mpo png apng tif tiff webp avif avifs gif bmp dib jp2 j2k j2c jpc jpf jpx ppm pgm pbm pnm pfm "
    "psd tga pcx sgi ras qoi"
)
_ENDINGS = {
    HEIC: "heic heif heics heifs hif",
    RAW: (
        "dng cr2 cr3 crw nef nrw arw sr2 srf srw raf orf ori rw2 rwl pef ptx raw x3f 3fr fff iiq mef mos erf dcr kdc "
        "mrw gpr"
    ),
    VIDEOS: "mov mp4 m4v avi mkv webm mpg mpeg mts m2ts 3gp 3g2 wmv insv lrv",
    SIDECARS: "aae thm xmp json xml pp3 dop cos on1 lrcat vrd",
    SYSTEM: "db ini lrdata lrprev",
}
_KINDS = {f".{ending}": kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
_KINDS |= dict.fromkeys(f".{ending}" for ending in _PHOTO_ENDINGS.split())
# Where servers, archives and systems keep small copies and what was deleted; so does any folder with a dot in front.
_SYSTEM_FOLDERS = (
    *("@eadir", "@recycle", "#recycle", "$recycle.bin"),
    *("__macosx", "lost+found", "system volume information"),
)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a folder holds: its photos, and all else by kind (`RAW`, `HEIC`, `VIDEOS`, ...); sorted by path."""

    photos: tuple[Path, ...]
    left_out: dict[str, tuple[Path, ...]]

    def __str__(self) -> str:
        """What was left out, one line a kind: how many, the first of them, and what to do; "" if there is nothing."""
        lines = []
        for kind, paths in self.left_out.items():
            names = ", ".join(shown(path.name) for path in paths[:3]) + ", …" * (len(paths) > 3)
            advice = f" {ADVICE[kind]}." if kind in ADVICE else ""
            lines.append(f"  left out, {kind}: {len(paths):,} ({names}).{advice}")
        return "\n".join(lines)


def find(folder: Path | str) -> Found:
    """The photos in a folder and its subfolders, told by the endings of their names; nothing is opened.

    Left out and listed by kind: what other programs and systems keep beside photos, hidden files among it (a folder of
    such previews counts as one), links to folders, everything else that is no photo by its ending, and HEIC photos
    where pillow-heif is not installed. Raises OSError where the folder is none or its disk fails; a subfolder without
    permission is left out.
    """
    folder, photographs, left_out = Path(folder), [], {kind: [] for kind in (*ADVICE, VIDEOS, SIDECARS)}

    def unreadable(error: OSError):
        if not isinstance(error, PermissionError) or Path(error.filename) == folder:
            raise error
        left_out[LOCKED].append(Path(error.filename))

    for parent, subfolders, names in os.walk(folder, onerror=unreadable):
        for path in [Path(parent, name) for name in subfolders]:
            kind = SYSTEM if _is_system(path) else LINKS if path.is_symlink() else None
            if kind:
                subfolders.remove(path.name)
                left_out.setdefault(kind, []).append(path)
        for path in [Path(parent, name) for name in names]:
            kind = kind_of(path)
            photographs.append(path) if kind is None else left_out.setdefault(kind, []).append(path)
    by_kind = {kind: tuple(sorted(paths, key=Path.as_posix)) for kind, paths in left_out.items() if paths}
    return Found(tuple(sorted(photographs, key=Path.as_posix)), by_kind)


def look(path: Path) -> Found:
    """The same of a single file that somebody names: a photo, too, where its ending tells nothing."""
    kind = kind_of(path)
    return Found((path,), {}) if kind in (None, OTHER) else Found((), {kind: (path,)})


def kind_of(path: Path) -> str | None:
    """None for a photo, else the kind of file that the name tells, such as `RAW`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return SPECIAL
    except OSError:  # a link to nowhere, say: its reason is told where it is read
        pass
    kind = SYSTEM if _is_system(path) else _KINDS.get(path.suffix.lower(), OTHER)
    return None if kind == HEIC and reads_heic() else kind


def _is_system(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_FOLDERS or path.name.lower().endswith(".lrdata")


@functools.cache
def reads_heic() -> bool:
    """Whether HEIC photos can be read: by pillow-heif, where it is installed."""
    try:
        import pillow_heif
    except (ImportError, OSError):  # not there, or made for another machine
        return False
    pillow_heif.register_heif_opener()
    return True


def shown(path: Path | str) -> str:
    """A path as it can be printed: bytes of a name that are no UTF-8 become �."""
    return os.fsencode(path).decode("utf-8", "replace")


# One photograph.


def read(source) -> Image.Image:
    """The photograph upright, in sRGB, mode "RGB", 8 bits a channel.

    source: a path, or the file's bytes. The EXIF orientation is applied; CMYK, palettes, Lab and 16-bit gray are
    converted, with the file's ICC profile where it has one; transparent pixels are laid over white, as on a printed
    page; of an animation comes the first frame. Raises `PhotoError` with the reason when the file cannot be read.
    """
    photo = read_whole(source)
    if photo.alpha is None:
        return photo.image
    page = Image.new("RGB", photo.image.size, "white")
    page.paste(photo.image, mask=photo.alpha)
    return page


def read_whole(source) -> Photograph:
    """The same photograph with what `read` leaves behind: full-depth gray, transparency, metadata and notes."""
    with _opened(source) as (image, notes):
        try:
            image.load()
        except OSError:
            if image.format not in ("JPEG", "MPO"):
                raise
            image = Image.open(io.BytesIO(_bytes(source) + b"\xff\xd9"))  # for its end marker may be all that it lacks
        _refuse_missing_rows(image, source)
        profile = image.info.get("icc_profile")
        if _orientation(image, notes):
            with _noting([], "of another tag that is broken; the picture is upright by then"):
                ImageOps.exif_transpose(image, in_place=True)
        metadata, alpha, gray = _metadata(image, notes), _alpha(image), _deep_gray(image)
        if alpha is not None and not alpha.getbbox():
            raise PhotoError("no content: every pixel is transparent")
        if gray is None:
            rgb = _to_srgb(_without_alpha(image), profile, notes)
        else:
            rgb, gray = _deep_to_srgb(gray, profile, notes)
    return Photograph(rgb, gray, alpha, metadata, tuple(notes))


def is_plain(source) -> bool:
    """Whether training's decoder (see `batches`) can use the file as it is: an upright JPEG or PNG, 8-bit gray or RGB,
    without transparency, in sRGB, and decoded whole by `tf.io.decode_jpeg`.

    False as well for a file that is cut short; whether something of it can be saved, `read` finds out.
    """
    with _opened(source) as (image, _):
        is_jpeg = image.format in ("JPEG", "MPO")
        if not (is_jpeg or image.format == "PNG") or image.mode not in ("L", "RGB") or "transparency" in image.info:
            return False
        if (not is_jpeg and getattr(image, "is_animated", False)) or _orientation(image) != 1:
            return False
        if not _is_srgb(image.info.get("icc_profile"), image.mode):
            return False
        import tensorflow as tf  # here, because nothing else in this module needs it

        try:
            decoded = tf.io.decode_jpeg(  # an eighth of the size: all of the bytes, few of the pixels
                _bytes(source), channels=3, ratio=8 if is_jpeg else 1, dct_method="INTEGER_ACCURATE"
            )
        except tf.errors.InvalidArgumentError:
            return False
        if is_jpeg and _may_lack_rows(image, decoded[-1, -1].numpy()):
            image.load()
            _refuse_missing_rows(image, source)
        return True


@contextlib.contextmanager
def _opened(source):
    """(image, notes): an image, open but not yet decoded. Whatever Pillow raises, here or in the block, leaves as a
    `PhotoError`, but for `OutOfMemory`."""
    head, notes = b"", []
    try:
        with _file(source) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MAX_PIXELS is our own limit, and a broken tag raises where it matters
            head = file.read(16)
            with (_open_tiff if head[:4] in tiff.HEADS else _open)(file, notes) as image:
                yield image, notes
    except PhotoError:
        raise
    except tiff.TiffError as error:
        raise PhotoError(str(error)) from error
    except MemoryError as error:
        raise OutOfMemory(
            "There is no memory left to read the photo. Close other programs or notebooks (Runtime > Manage sessions), "
            "or make the photo smaller."
        ) from error
    except Exception as error:  # Pillow's parsers let through whatever they meet: IndexError, SyntaxError, ...
        raise _reason(error, head) from error


def _bytes(source) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _file(source):
    """The file or the bytes, open for reading. Raises `PhotoError` for what is neither, before it is opened."""
    if isinstance(source, bytes):
        size = len(source)
    else:
        state = Path(source).stat()
        size = state.st_size
        if stat.S_ISDIR(state.st_mode):
            raise PhotoError("a folder, not a file")
        if not stat.S_ISREG(state.st_mode):
            raise PhotoError("a special file, such as a pipe or a device")
    if not size:
        raise PhotoError("empty: the file has no bytes")
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _open(file, notes: list) -> Image.Image:
    Image.init()
    reads_heic()
    file.seek(0)
    image = Image.open(file, formats=[name for name in Image.OPEN if name not in _NEVER])
    _check_size(*image.size)
    if getattr(image, "is_animated", False):
        notes.append("the first of several frames")
    return image


def _open_tiff(file, notes: list) -> Image.Image:
    pages = tiff.pages(file)
    ending = Path(getattr(file, "name", "")).suffix.lower()
    if tiff.is_raw(pages) or _KINDS.get(ending) == RAW:
        raise PhotoError(_IS_RAW)
    page = tiff.full_size(pages, notes)
    _check_size(page.imagewidth, page.imagelength)
    return tiff.open_page(file, page)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"too many pixels: {width} × {height}, of at most {MAX_PIXELS:,}; make the picture smaller first"
        )


def _reason(error: Exception, head: bytes) -> PhotoError:
    """The `PhotoError` that names what an exception means for a file that begins with `head`."""
    text = str(error).lower()
    if isinstance(error, FileNotFoundError):
        return PhotoError("missing: there is no such file")
    if isinstance(error, PermissionError):
        return PhotoError("no permission to read the file")
    if isinstance(error, UnidentifiedImageError):
        return PhotoError(next(reason for beginning, reason in _BEGINNINGS if re.match(beginning, head, re.DOTALL)))
    if isinstance(error, Image.DecompressionBombError):
        return PhotoError("too many pixels; make the picture smaller first")
    if isinstance(error, (EOFError, struct.error)) or any(words in text for words in _CUT_SHORT):
        return PhotoError("cut short: the file ends before the picture does")
    return PhotoError(f"damaged ({type(error).__name__})")


_IS_RAW = "a raw file of a camera: develop it first, as TIFF or JPEG"
_BEGINNINGS = (  # of files that Pillow cannot open
    (rb"....ftyp(hei|hev|mif1|msf1)", "a HEIC photo: install the package pillow-heif, or save it as JPEG"),
    (rb"....ftypcrx |FUJIFILM|II(RO|RS|U\x00)|MMOR|\x00MRM|FOVb|II.\x00....HEAP", _IS_RAW),
    (rb"....ftypavi|\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM", "damaged (in its first bytes)"),
    (rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3|\x00\x00\x01\xba", "a video, not a photo"),
    (rb"", "not an image of a kind that Pillow reads"),
)


# Rows that are not there, though the file has an end: a program that repairs memory cards may have put it there.


def _may_lack_rows(image: Image.Image, corner) -> bool:
    """Whether the lower right pixel is what decoders leave where nothing was decoded: libjpeg mid gray, a PNG black."""
    if image.format == "PNG":
        return not np.any(corner)
    is_jpeg = image.format in ("JPEG", "MPO")
    return is_jpeg and ("progressive" in image.info or np.all((np.array(corner) >= 127) & (np.array(corner) <= 128)))


def _refuse_missing_rows(image: Image.Image, source) -> None:
    """Raise `PhotoError` where a JPEG or PNG, decoded, lacks rows, or a progressive JPEG its details.

    It is decoded once more: a JPEG with zeros before its end marker, a PNG into a picture that is not black. That
    changes one that lacks something, and no other.
    """
    if not _may_lack_rows(image, image.getpixel((image.width - 1, image.height - 1))):
        return
    data = _bytes(source)
    if image.format != "PNG":
        data = data[: _end_of_jpeg(data)] + bytes(1000) + b"\xff\xd9"
    with Image.open(io.BytesIO(data)) as again:
        if image.format == "PNG":
            again.im = Image.new(again.mode, again.size, 1).im
        if again.tobytes() != image.tobytes():
            raise PhotoError("cut short: the last rows of the picture are missing")


def _end_of_jpeg(data: bytes) -> int:
    """Where the end marker of the first JPEG in some bytes stands; their length if there is none."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1] != 0xD9:
        marker = data[place + 1]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA:  # pixels follow, up to a marker that is neither a stuffed byte nor a restart
            following = re.compile(rb"\xff[^\0\xd0-\xd7\xff]").search(data, place)
            place = following.start() if following else len(data)
    return place


# What else a file tells.


@contextlib.contextmanager
def _noting(notes: list, note: str):
    """A context in which a broken tag, whatever it raises, becomes a note."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:
        notes.append(note)


def _orientation(image: Image.Image, notes: list | None = None) -> int | None:
    """The EXIF orientation, 1 for upright, or None where it is unreadable."""
    with _noting([] if notes is None else notes, "its EXIF orientation is unreadable, so it was not turned"):
        return image.getexif().get(ExifTags.Base.Orientation, 1)


def _metadata(image: Image.Image, notes: list) -> dict:
    """What `Image.save` should be given to keep in a PNG: EXIF and XMP without orientation, resolution and texts."""
    kept = {}
    with _noting(notes, "its EXIF data are unreadable and were dropped"):
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        if len(exif):
            kept["exif"] = exif.tobytes()
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(1 < float(d) < 65536 for d in dpi):
        kept["dpi"] = tuple(float(d) for d in dpi)
    texts = {key: image.info.get(key, text) for key, text in getattr(image, "text", {}).items()}
    for key, name in (("xmp", "XML:com.adobe.xmp"), ("comment", "Comment")):
        if isinstance(image.info.get(key), bytes):
            texts.setdefault(name, image.info[key].decode("utf-8", "replace"))
    if texts:
        kept["pnginfo"] = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            kept["pnginfo"].add_itxt(key, text)
    return kept


# Colors.


def _deep_gray(image: Image.Image) -> np.ndarray | None:
    """Gray of more than 8 bits as uint16, (height, width), 65535 being white; None for other images."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    gray = np.asarray(image)
    top = 1 if image.mode == "F" else 65535
    if not (gray.min() >= 0 and gray.max() <= top):  # true for NaN as well
        raise PhotoError(f"damaged (gray values outside [0, {top}], so that black and white are unknown)")
    return np.rint(gray * (65535 / top)).astype(np.uint16) if top != 65535 else gray.astype(np.uint16)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The transparency as mode "L", or None where there is none."""
    if image.getbands()[-1] in ("A", "a"):
        return image.getchannel(image.getbands()[-1])
    if image.mode.startswith("I;16") and "transparency" in image.info:
        return Image.fromarray(np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8))
    return image.convert("RGBA").getchannel("A") if "transparency" in image.info else None


def _without_alpha(image: Image.Image) -> Image.Image:
    """In one of the modes that profiles speak of: L, RGB, CMYK or LAB."""
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("LA").convert("L") if image.mode == "La" else image.convert("L")
    return (image.convert("RGBA") if image.mode in ("P", "PA", "RGBa") else image).convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list) -> Image.Image:
    """Mode "RGB" in sRGB, of an image in L, RGB, CMYK or LAB, through its ICC profile where it has a usable one."""
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), _SRGB, outputMode="RGB")
    if not _is_srgb(profile, image.mode):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):  # broken, or of another kind of image
            notes.append("its color profile is unusable, so sRGB was assumed")
    return image.convert("RGB")


@functools.lru_cache(maxsize=64)
def _is_srgb(profile: bytes | None, mode: str) -> bool:
    """Whether the profile moves no color of an image in this mode by more than one level. None counts as sRGB."""
    if profile is None:
        return True
    if mode not in ("L", "RGB"):
        return False
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    image = Image.fromarray(colors) if mode == "RGB" else Image.fromarray(levels[None])
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        seen = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return False
    return np.abs(np.asarray(seen, int) - np.asarray(image.convert("RGB"), int)).max() <= 1


def _deep_to_srgb(gray: np.ndarray, profile: bytes | None, notes: list) -> tuple[Image.Image, np.ndarray]:
    """The 8-bit RGB image of full-depth gray, and the gray in sRGB's encoding.

    A profile is applied as a curve through its 256 levels, straight in between.
    """
    if not _is_srgb(profile, "L"):
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        curve = np.asarray(_to_srgb(ramp, profile, notes).convert("L"))[0]
        gray = np.interp(gray, np.arange(256) * 257.0, curve * 257.0).astype(np.uint16)
    return Image.fromarray(((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB"), gray
