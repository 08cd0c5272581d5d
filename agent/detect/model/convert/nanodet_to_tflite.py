"""Makes the shipped model file of NanoDet-g's published weights; see README.md beside this file.

Build-time tool, run by hand with TensorFlow installed: neither the agent nor its tests need it.
"""

import argparse
import hashlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.detect.model.convert.tfjs_graph import Activation, Graph, Replay, read_graph

# Colour normalisation NanoDet was trained with: BGR, ImageNet means and deviations.
MEAN_RGB, DEVIATION_RGB = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SOURCE_SIDE_PX = 416
MOST_CALIBRATION_PICTURES = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_json", type=Path, help="nanodet.json, nanodet.bin beside it")
    parser.add_argument("pictures", type=Path, help="folder of JPEG pictures to calibrate on")
    parser.add_argument("out", type=Path, help="the .tflite file to write")
    parser.add_argument("--width-px", type=int, default=416)
    parser.add_argument("--height-px", type=int, default=256)
    parser.add_argument("--kind", choices=("int8", "fp16"), default="int8")
    asked = parser.parse_args()
    tf: Any = importlib.import_module("tensorflow")
    function = build(tf, read_graph(asked.model_json), asked.height_px, asked.width_px)
    pictures = sorted(asked.pictures.glob("*.jpg"))[:MOST_CALIBRATION_PICTURES]
    content = convert(tf, function, asked.kind, pictures, (asked.height_px, asked.width_px))
    asked.out.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    sys.stdout.write(f"{asked.out}: {len(content)} bytes, sha256 {digest}\n")


def build(tf: Any, graph: Graph, height_px: int, width_px: int) -> Any:
    """Return a function of an RGB picture 0..255 that gives `cls` (sigmoid) and `reg` (bins)."""
    outputs = [output for level in range(3) for output in _head_outputs(graph, level)]
    _rescale_resizes(graph, height_px, width_px)
    signature = [tf.TensorSpec([1, height_px, width_px, 3], tf.float32, name="image")]

    def detect(image: Any) -> dict[str, Any]:
        normal = (image - np.array(MEAN_RGB, "f4")) / np.array(DEVIATION_RGB, "f4")
        first = Activation(tf.reverse(normal, [3]), first=True)
        replay = Replay(tf, graph, {"input_1": first})
        flat = [
            tf.reshape(tensor, [1, -1, tensor.shape[3]])
            for tensor in (replay.value(output).tensor for output in outputs)
        ]
        return {"cls": tf.concat(flat[0::2], 1), "reg": tf.concat(flat[1::2], 1)}

    return tf.function(detect, autograph=False, input_signature=signature)


def convert(
    tf: Any, function: Any, kind: str, pictures: list[Path], size_px: tuple[int, int]
) -> bytes:
    """Return the TFLite file: 16-bit weights, or all 8-bit with uint8 input and float output."""
    module = tf.Module()
    module.detect = function  # keeps the constants alive while converting
    concrete = [function.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: _calibration(tf, pictures, size_px)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
    return bytes(converter.convert())


def _head_outputs(graph: Graph, level: int) -> Iterator[str]:
    """Yield scores and distances of one level, cut off before the reshape to the source's size."""
    for number in (level, level + 3):
        node = graph.nodes["Identity" if number == 0 else f"Identity_{number}"]
        for operation in ("Transpose", "Reshape"):
            node = graph.nodes[node["input"][0]]
            if node["op"] != operation:
                raise ValueError(f"Expected {operation} before {node['name']}, not {node['op']}.")
        yield node["input"][0]


def _rescale_resizes(graph: Graph, height_px: int, width_px: int) -> None:
    """Make the feature pyramid's resizes, fixed for 416x416, fit the new input size."""
    for node in [one for one in graph.nodes.values() if one["op"] == "ResizeBilinear"]:
        stride = SOURCE_SIDE_PX // int(graph.weights[node["input"][1]][0])
        name = f"{node['name']}/size"
        graph.nodes[name] = {"name": name, "op": "Const"}
        graph.weights[name] = np.array([height_px // stride, width_px // stride], "i4")
        node["input"][1] = name


def _calibration(tf: Any, pictures: list[Path], size_px: tuple[int, int]) -> Iterator[list[Any]]:
    for path in pictures:
        picture = tf.io.decode_jpeg(tf.io.read_file(str(path)), channels=3)
        yield [tf.image.resize(picture, size_px)[np.newaxis]]


if __name__ == "__main__":
    main()
