"""The backbones' weights: a name or a path becomes a file that was checked, which `models` reads.

box         data/weights, which comes with the project: VGG-16 and EfficientNet-Lite0, trained on ImageNet
imagenet    Keras' own file, downloaded once to Keras' folder
none        random weights, which learn far less
a path      of a file, or of a folder with one file a backbone, <backbone>.npz or <backbone>.h5
"""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import ROOT

BOX = ROOT / "data" / "weights"
BOX_SHA256 = {
    "vgg16": "5794d9745e2b3bbc70790c37460e88cdb02d88ee326c12aa39ad07bfee4fbb25",
    "efficientnetlite0": "768577765fe77f8cdf4d191215647531be9e7ea00e21cc63ae0ff7b00d902c64",
}
_KERAS = "https://storage.googleapis.com/"
_EFFICIENTNET_MD5 = """
50bc09e76180e00e4465e1a485ddc09d 74c4e6b3e1f6a1eea24c589628592432 111f8e2ac8aa800a7a99e3239f7bfb39
af6d107764bb5b1abb91932881670226 ebc24e6d6c33eaebbd558eafbeedf1ba 38879255a25d3c92d5e44e04ae6cec6f
9ecce42647a20130c1f39a5d4cb75743 cbcfe4450ddf6f3ad90b1b398090fe4a
""".split()  # noqa: SIM905
# Keras' own addresses, and md5 where Keras has one, of the files without the classifier.
_DOWNLOADS = {
    "vgg16": (
        f"{_KERAS}tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "mobilenet": (f"{_KERAS}tensorflow/keras-applications/mobilenet/mobilenet_7_5_224_tf_no_top.h5", None),
} | {
    f"efficientnetb{number}": (f"{_KERAS}keras-applications/efficientnetb{number}_notop.h5", md5)
    for number, md5 in enumerate(_EFFICIENTNET_MD5)
}


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a backbone starts from."""

    path: Path | None  # None: random weights
    sha256: str  # of the file; "" for random weights


def resolve(name: str, backbone: str) -> Weights:
    """The weights of a backbone by the setting `weights`.

    Raises `ColorlibError`: the box has none for this backbone, or its file is not the one that belongs to the project;
    a download fails; a file or folder is not there.
    """
    if name == "none":
        return Weights(None, "")
    if name == "box":
        path = _boxed(backbone)
    elif name == "imagenet":
        path = _downloaded(backbone)
    else:
        path = _given(Path(name).expanduser(), backbone)
    return Weights(path, sha256_of(path))


def sha256_of(path: Path) -> str:
    """A file's SHA-256, read once as long as it does not change."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _sha256(path, size, time):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _boxed(backbone):
    if backbone not in BOX_SHA256:
        raise ColorlibError(
            f"No weights for {backbone} come with the project, only for {' and '.join(BOX_SHA256)}. Take one of those "
            "backbones, or weights=imagenet (COLORLIB_WEIGHTS, --weights), which Keras downloads."
        )
    path = BOX / f"{backbone}.npz"
    if not path.is_file() or sha256_of(path) != BOX_SHA256[backbone]:
        what = "is not the file that belongs to this version of the project" if path.is_file() else "is missing"
        raise ColorlibError(
            f"data/weights/{path.name} {what}. Bring it back: git checkout data/weights, or clone the project again."
        )
    return path


def _given(path, backbone):
    if path.is_dir():
        names = [f"{backbone}{ending}" for ending in (".npz", ".h5", ".weights.h5")]
        inside = next((path / name for name in names if (path / name).is_file()), None)
        if inside is None:
            raise ColorlibError(f"The folder of weights {path} has no file for {backbone}: {' or '.join(names)}.")
        return inside
    if not path.is_file():
        raise ColorlibError(
            f"There are no weights {str(path)!r}. Valid: box (comes with the project), imagenet (downloaded by Keras), "
            "none (random), the path of a file, or of a folder with one file a backbone."
        )
    return path


def _downloaded(backbone) -> Path:
    """Keras' file of ImageNet weights, from its folder, or downloaded there."""
    import keras

    if backbone not in _DOWNLOADS:
        raise ColorlibError(f"Keras has no weights of {backbone}. Those of the project do: weights=box.")
    address, md5 = _DOWNLOADS[backbone]
    name = address.rpartition("/")[2]
    place = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models" / name
    try:
        return Path(keras.utils.get_file(name, address, cache_subdir="models", file_hash=md5))
    except Exception as error:  # Keras raises plain Exception where a download fails, and ValueError or OSError else
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ColorlibError(
            f"The ImageNet weights of {backbone} could not be had: {reason}. Keras looks for {place} and "
            "downloads it when it is not there, or not whole. Connect to the network and try again, or bring the "
            "file there from another machine. Weights that come with the project: weights=box. To go on with random "
            "weights, which learn far less: weights=none (COLORLIB_WEIGHTS=none)."
        ) from error
