"""Models made by a test: folders with a signed manifest, and a tiny real ONNX model."""

import hashlib
import shutil
from pathlib import Path

import msgspec
from joserfc import jws
from joserfc.jwk import OKPKey

from agent.detect.manifest import SHIPPED_MODEL, load_manifest

TINY_WIDTH_PX, TINY_HEIGHT_PX = 64, 32
_CELLS = 8 * 4 + 4 * 2 + 2 * 1


class ModelMaker:
    """Signs models with a key of its own; `keys_file` is what the settings name."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._key = OKPKey.generate_key("Ed25519", {"kid": "models"})
        self.keys_file = folder / "keys.json"
        public = self._key.as_dict(private=False)
        self.keys_file.write_bytes(msgspec.json.encode({"keys": [public]}))

    def shipped(self, name: str, **changes: object) -> Path:
        """Return a folder with the shipped model, its first file alone, under another name."""
        return self._copied(name, {"shapes": []} | changes)

    def shipped_whole(self, name: str, **changes: object) -> Path:
        """… with the files for each shape of picture."""
        return self._copied(name, changes)

    def _copied(self, name: str, changes: dict[str, object]) -> Path:
        folder, told = self._folder / name, load_manifest()
        folder.mkdir()
        for form in told.forms[: 1 if "shapes" in changes else None]:
            shutil.copy(SHIPPED_MODEL / form.file, folder)
        return self.signed(folder, msgspec.to_builtins(told) | {"name": name} | changes)

    def shipped_with_hef(self, name: str) -> Path:
        """… that has a file for a Hailo, too; what is in it only the stand-in knows."""
        variant = {"engine": "hailo", "file": "model.hef", "sha256": sha256_of(b"hef")}
        folder = self.shipped(name, variants=[variant])
        (folder / "model.hef").write_bytes(b"hef")
        return folder

    def tiny_onnx(self, name: str = "tiny", **inputs: str) -> Path:
        """Return a folder with an ONNX model that sees one thing in a bright picture."""
        folder = self._folder / name
        folder.mkdir()
        content = tiny_onnx(**inputs)
        (folder / "model.onnx").write_bytes(content)
        size = {"width_px": TINY_WIDTH_PX, "height_px": TINY_HEIGHT_PX}
        told = msgspec.to_builtins(load_manifest()) | {
            "name": name,
            "file": "model.onnx",
            "sha256": sha256_of(content),
            "input": size,
            "labels": ["person", "car"],
            "thresholds": {"default": 0.6},
            "shapes": [],
        }
        return self.signed(folder, told)

    def signed(self, folder: Path, told: object) -> Path:
        content = msgspec.json.encode(told)
        (folder / "manifest.json").write_bytes(content)
        header = {"alg": "Ed25519", "kid": "models"}
        token = jws.serialize_compact(header, content, self._key, algorithms=["Ed25519"])
        (folder / "manifest.jws").write_text(token)
        return folder


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny_onnx(kind: str = "UINT8", layout: str = "NHWC") -> bytes:
    """Return a graph: the score of one person is how bright the picture is, from 0 to 1."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, TINY_HEIGHT_PX, TINY_WIDTH_PX, 3]
    if layout == "NCHW":
        shape = [1, 3, TINY_HEIGHT_PX, TINY_WIDTH_PX]
    where = np.zeros((1, _CELLS, 2), np.float32)
    where[0, 9, 0] = 1 / 255
    sides = np.zeros((1, _CELLS, 44), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["where", "mean"], ["scores"]),
            helper.make_node("Identity", ["sides"], ["bins"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("picture", getattr(TensorProto, kind), shape)],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, where.shape),
            helper.make_tensor_value_info("bins", TensorProto.FLOAT, sides.shape),
        ],
        [numpy_helper.from_array(where, "where"), numpy_helper.from_array(sides, "sides")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()
