"""The backbones' weights: names and paths become checked files, or a sentence that says what to do."""

import hashlib
import os
import shutil

import keras
import numpy as np
import pytest
from keras.src.applications import efficientnet

from colorlib import ColorlibError, models
from colorlib.sources import weights


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetlite0"])
def test_the_box_holds_what_it_says(backbone):
    box = weights.resolve("box", backbone)
    assert box.path == weights.BOX / f"{backbone}.npz"
    assert box.sha256 == hashlib.sha256(box.path.read_bytes()).hexdigest()
    assert f"| {box.sha256} |" in (weights.ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert box.path.stat().st_size <= {"vgg16": 15e6, "efficientnetlite0": 6.6e6}[backbone]
    backbone_layer = models.build_colorizer(backbone, box.path, 32).get_layer("backbone")
    kernels = [np.asarray(v) for v in backbone_layer.variables if v.name == "kernel"]
    assert len(kernels) == {"vgg16": 13, "efficientnetlite0": 49}[backbone]
    assert all(np.isfinite(kernel).all() and kernel.std() > 0 for kernel in kernels)


def test_a_backbone_that_the_box_has_not():
    with pytest.raises(
        ColorlibError,
        match=r"no weights of efficientnetb7 in .*for VGG-16 and EfficientNet-Lite0",
    ):
        weights.resolve("box", "efficientnetb7")


def test_random_weights_have_no_file():
    assert weights.resolve("none", "vgg16") == weights.Weights(None, "")


def test_a_file_serves_any_backbone_and_a_folder_each_its_own(tmp_path):
    for name in ("vgg16.npz", "efficientnetb0.h5"):
        (tmp_path / name).write_bytes(name.encode())
    one = tmp_path / "vgg16.npz"
    assert weights.resolve(str(one), "mobilenet").path == one
    assert weights.resolve(str(tmp_path), "vgg16").path == one
    b0 = weights.resolve(str(tmp_path), "efficientnetb0")
    assert (b0.path.name, b0.sha256) == ("efficientnetb0.h5", hashlib.sha256(b"efficientnetb0.h5").hexdigest())
    with pytest.raises(ColorlibError, match=r"no weights of mobilenet in .*such as mobilenet\.npz"):
        weights.resolve(str(tmp_path), "mobilenet")
    with pytest.raises(ColorlibError, match=r"There are no weights of vgg16 in nowhere\. Valid: box"):
        weights.resolve("nowhere", "vgg16")


def test_another_file_of_the_same_name_is_noticed(tmp_path):
    file = tmp_path / "w.h5"
    digests = set()
    for text in ("a", "b", "longer"):
        file.write_text(text)
        os.utime(file, ns=(0, len(digests)))
        digests.add(weights.resolve(str(file), "vgg16").sha256)
    assert len(digests) == 3


def test_keras_own_download_is_used_where_it_lies(shared, tmp_path, monkeypatch):
    real = shared / "weights/mobilenet_7_5_224_tf_no_top.h5"
    (tmp_path / "models").mkdir()
    shutil.copy(real, tmp_path / "models")
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found = weights.resolve("imagenet", "mobilenet")
    assert found.path == tmp_path / "models" / real.name
    assert found.sha256 == hashlib.sha256(real.read_bytes()).hexdigest()


def test_the_addresses_and_checksums_are_keras_own(monkeypatch):
    """Keras is asked for its own weights, the download intercepted: the same file, address and checksum as ours."""
    asked = {}

    def intercepted(name, origin, *args, file_hash=None, **kw):
        asked[name] = (origin, file_hash)
        raise InterruptedError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", intercepted)
    options = {"include_top": False, "weights": "imagenet", "input_shape": (224, 224, 3)}
    for create in (keras.applications.VGG16, keras.applications.EfficientNetB0):
        with pytest.raises(InterruptedError):
            create(**options)
    with pytest.raises(InterruptedError):
        keras.applications.MobileNet(alpha=0.75, **options)
    ours = {address.rpartition("/")[2]: (address, md5) for address, md5 in weights._DOWNLOADS.values()}
    assert asked.items() <= ours.items() and len(asked) == 3
    for number in range(8):  # the larger ones, without building each: their names differ by this number alone
        md5 = efficientnet.WEIGHTS_HASHES[f"b{number}"][1]
        assert ours[f"efficientnetb{number}_notop.h5"] == (
            ours["efficientnetb0_notop.h5"][0].replace("b0", f"b{number}"),
            md5,
        )


def test_weights_that_cannot_be_downloaded(monkeypatch, tmp_path):
    def no_network(name, origin, *args, **kw):
        raise Exception(f"URL fetch failure on {origin}: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.utils.get_file", no_network)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ColorlibError) as caught:
        weights.resolve("imagenet", "efficientnetb0")
    message = str(caught.value)
    assert str(tmp_path / "models" / "efficientnetb0_notop.h5") in message
    assert "Name or service not known" in message and "--weights none" in message and "--weights box" in message
    with pytest.raises(ColorlibError, match="Keras has no weights of efficientnetlite0"):
        weights.resolve("imagenet", "efficientnetlite0")
