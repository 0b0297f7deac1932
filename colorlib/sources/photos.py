"""One photograph of any kind to upright sRGB, or a named reason why not.

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
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from colorlib import ColorlibError

MAX_PIXELS = 12_000 * 12_000

# EPS and PostScript run a program, WMF asks Windows, and the others are names without a decoder.
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
_SRGB = ImageCms.createProfile("sRGB")
_CUT_SHORT = ("truncated", "unexpected end", "not enough", "buffer is not large", "eof", "incomplete", "no more data")
# The tags of a TIFF file that tell about the photograph, not about how the file is laid out.
_TELLING_TAGS = (270, 271, 272, 305, 306, 315, 33432, 34665, 34853)  # description, maker, ... EXIF proper, GPS
_TURNS = {  # EXIF orientation -> what brings it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(ColorlibError):
    """Why a file is no photograph that can be read: `str(error)` is the reason, and starts with one of
    "missing", "no permission", "a folder", "empty", "not an image", "cut short", "too many pixels", "no content" or
    "damaged".
    """


@dataclasses.dataclass(frozen=True)
class Photograph:
    """All that a file tells of a photograph."""

    image: Image.Image  # upright, sRGB, mode "RGB"; transparency not applied
    gray: np.ndarray | None  # uint16 (height, width), sRGB-encoded: gray of more than 8 bits a pixel at its full depth
    alpha: Image.Image | None  # upright, mode "L", where the file has transparency
    metadata: dict  # for `Image.save(..., **metadata)`, what there is of "exif" and "xmp" (orientation reset), "dpi"
    #                 and "comment"; "pnginfo" holds all texts, XMP among them, as a PNG wants them
    format: str  # Pillow's name: "JPEG", "PNG", ...
    notes: tuple[str, ...]  # what the reader of the result should know: "the first of several frames", ...


# Which files of a folder are photographs.

RAW = "raw files of a camera"
HEIC = "HEIC photos"
VIDEOS = "videos"
SIDECARS = "sidecar files"
SYSTEM = "previews and system files of other programs"
LINKS = "links to folders"
LOCKED = "folders that may not be read"
SPECIAL = "special files"  # pipes, devices, sockets: to open one may wait forever
OTHER = "other files"
ADVICE = {
    RAW: "Develop them first, as TIFF or JPEG",
    HEIC: "Install the package pillow-heif (`pip install pillow-heif`) and run it again, or save them as JPEG",
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
    with _opened(source) as image:
        notes = ["the first of several frames"] if getattr(image, "is_animated", False) else []
        kind, profile = image.format, image.info.get("icc_profile")
        highest = 4095 if kind == "TIFF" and image.tag_v2.get(258) == (12,) else 65535  # bits a sample
        image, metadata = _upright(image, notes), _metadata(image, notes)
        alpha, gray = _alpha(image), _deep_gray(image, highest)
        if alpha is not None and not alpha.getbbox():
            raise PhotoError("no content: every pixel is transparent")
        if gray is None:
            rgb = _to_srgb(_without_alpha(image), profile, notes)
        else:
            rgb, gray = _deep_to_srgb(gray, profile, notes)
    return Photograph(rgb, gray, alpha, metadata, kind, tuple(notes))


def is_plain(source) -> bool:
    """Whether the file can be used as it is by a decoder that knows nothing but pixels, such as `tf.io.decode_image`:
    an upright JPEG or PNG, 8-bit gray or RGB, without transparency, in sRGB.

    The whole file is decoded, so that one that is cut short raises `PhotoError` here and not in the middle
    of a training.
    """
    with _opened(source, fast=True) as image:
        if image.format not in ("JPEG", "MPO", "PNG") or image.mode not in ("L", "RGB") or "transparency" in image.info:
            return False
        if image.format == "PNG" and getattr(image, "is_animated", False):
            return False
        return _orientation(image) == 1 and _is_srgb(image.info.get("icc_profile"), image.mode)


@contextlib.contextmanager
def _opened(source, fast: bool = False):
    """An image, open and decoded; whatever Pillow raises, here or in the block, leaves as a `PhotoError`.

    fast: JPEGs are decoded at an eighth of their size: all their bytes, few of their pixels.
    """
    try:
        if isinstance(source, bytes):
            size, file = len(source), io.BytesIO(source)
        else:
            size, file = Path(source).stat().st_size, source
        if not size:
            raise PhotoError("empty: the file has no bytes")
        Image.init()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MAX_PIXELS is our own limit, and a broken tag raises where it matters
            with Image.open(file, formats=[name for name in Image.OPEN if name not in _NEVER]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PhotoError(_too_many(f"{image.width} × {image.height}"))
                if fast and image.format in ("JPEG", "MPO"):
                    image.draft(None, (image.width // 8 + 1, image.height // 8 + 1))
                image.load()
                yield image
    except PhotoError:
        raise
    except (
        Exception
    ) as error:  # Pillow's parsers let through whatever they meet: IndexError, struct.error, SyntaxError …
        raise _reason(error) from error


def _reason(error: Exception) -> PhotoError:
    """The `PhotoError` that names what an exception means."""
    text = str(error).lower()
    if isinstance(error, FileNotFoundError):
        return PhotoError("missing: there is no such file")
    if isinstance(error, PermissionError):
        return PhotoError("no permission to read the file")
    if isinstance(error, IsADirectoryError):
        return PhotoError("a folder, not a file")
    if isinstance(error, UnidentifiedImageError):
        return PhotoError("not an image of a kind that Pillow reads")
    if isinstance(error, Image.DecompressionBombError):
        return PhotoError(_too_many("its size"))
    if isinstance(error, (EOFError, struct.error)) or any(words in text for words in _CUT_SHORT):
        return PhotoError("cut short: the file ends before the picture does")
    return PhotoError(f"damaged ({type(error).__name__})")


def _too_many(size: str) -> str:
    return f"too many pixels: {size} is above the limit of {MAX_PIXELS:,}; make the picture smaller first"


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 to 8 (1: upright, or none given), or None where the tag is unreadable."""
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a broken tag raises
        return None
    return turn if turn in range(1, 9) else None


def _upright(image: Image.Image, notes: list) -> Image.Image:
    turn = _orientation(image)
    if turn is None:
        notes.append("its EXIF orientation is unreadable, so it was not turned")
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def _metadata(image: Image.Image, notes: list) -> dict:
    """What `Image.save` should be given to keep: EXIF and XMP without their orientation, resolution and texts."""
    kept = {}
    try:
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        if image.format == "TIFF":
            for tag in [tag for tag in exif if tag not in _TELLING_TAGS]:
                del exif[tag]
        if len(exif):
            kept["exif"] = exif.tobytes()
    except Exception:  # whatever a broken tag raises
        notes.append("its EXIF data are unreadable and were dropped")
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(1 < float(d) < 65536 for d in dpi):
        kept["dpi"] = tuple(float(d) for d in dpi)
    texts = dict(getattr(image, "text", {}))
    comment, xmp = image.info.get("comment"), image.info.get("xmp") or texts.pop("XML:com.adobe.xmp", "").encode()
    if isinstance(xmp, bytes) and xmp:
        kept["xmp"] = re.sub(
            rb"""\stiff:Orientation=["'][0-9]["']|<tiff:Orientation>[0-9]</tiff:Orientation>""", b"", xmp
        )
        texts["XML:com.adobe.xmp"] = kept["xmp"].decode("utf-8", "replace")
    if isinstance(comment, bytes) and comment:
        kept["comment"] = comment
        texts.setdefault("Comment", comment.decode("utf-8", "replace"))
    if texts:
        kept["pnginfo"] = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            kept["pnginfo"].add_itxt(key, text)
    return kept


def _deep_gray(image: Image.Image, highest: int) -> np.ndarray | None:
    """Gray of more than 8 bits as uint16, (height, width), 65535 being white; None for other images."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    gray = np.asarray(image)
    top = 1 if image.mode == "F" else highest
    if not (gray.min() >= 0 and gray.max() <= top):  # true for NaN as well
        raise PhotoError(f"damaged (gray values outside [0, {top}], so that black and white are unknown)")
    return np.rint(gray * (65535 / top)).astype(np.uint16) if top != 65535 else gray.astype(np.uint16)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The transparency as mode "L", or None where there is none."""
    if image.mode.startswith("I;16") and "transparency" in image.info:
        return Image.fromarray(np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return image.convert("RGBA").getchannel("A")
    return None


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
