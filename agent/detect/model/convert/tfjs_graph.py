"""Reads a TensorFlow.js graph model and replays it as TensorFlow operations.

Only the operations NanoDet needs. The source keeps its activations channels-first and transposes
around every convolution; here they stay channels-last, and a label remembers what the source
believes, so those transposes vanish from the result. Build-time tool: not part of the agent.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_LAST_AXIS_OF = {0: 0, 1: 3, 2: 1, 3: 2}  # channels-first axis to channels-last axis
_TYPES = {"float32": "<f4", "int32": "<i4", "float16": "<f2", "uint8": "u1", "uint16": "<u2"}

Node = dict[str, Any]


@dataclass(frozen=True)
class Activation:
    """A channels-last tensor that the source graph holds channels-first when `first` is set."""

    tensor: Any
    first: bool


@dataclass
class Graph:
    """The nodes of a graph model by name, and the values of its constants."""

    nodes: dict[str, Node]
    weights: dict[str, np.ndarray]


def read_graph(model_json: Path) -> Graph:
    """Read `model.json` and the weight files beside it."""
    model = json.loads(model_json.read_text())
    weights: dict[str, np.ndarray] = {}
    for group in model["weightsManifest"]:
        content = b"".join((model_json.parent / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            quantised = entry.get("quantization")
            stored = np.dtype(_TYPES[quantised["dtype"] if quantised else entry["dtype"]])
            size = int(np.prod(entry["shape"]))
            values = np.frombuffer(content, stored, size, offset)
            offset += size * stored.itemsize
            if quantised and "scale" in quantised:
                values = values.astype("f4") * quantised["scale"] + quantised["min"]
            wanted = _TYPES[entry["dtype"]]
            weights[entry["name"]] = values.astype(wanted).reshape(entry["shape"])
    return Graph({node["name"]: node for node in model["modelTopology"]["node"]}, weights)


class Replay:
    """Evaluates nodes of a graph, each once, given the values of its inputs."""

    def __init__(self, tf: Any, graph: Graph, inputs: dict[str, Any]) -> None:
        self._tf, self._graph, self._values = tf, graph, dict(inputs)

    def value(self, reference: str) -> Any:
        """What a node gives; `name:1` is its second output. Graphs are deep: no recursion."""
        pending = [reference.partition(":")[0]]
        while pending:
            name = pending[-1]
            node = self._graph.nodes[name]
            needed = [] if name in self._values else node.get("input", [])
            missing = [
                one for one in (i.partition(":")[0] for i in needed) if one not in self._values
            ]
            pending += missing
            if not missing:
                pending.pop()
                if name not in self._values:
                    self._values[name] = self._run(node)
        name, _, output = reference.partition(":")
        value = self._values[name]
        return value[int(output or 0)] if isinstance(value, list) else value

    def _run(self, node: Node) -> Any:
        if node["op"] == "Const":
            return self._graph.weights[node["name"]]
        inputs = [self.value(one) for one in node.get("input", [])]
        return getattr(self, f"_{node['op'].lower()}")(node, *inputs)

    def _transpose(self, _: Node, x: Activation, order: np.ndarray) -> Activation:
        _expect(list(order) == (TO_LAST if x.first else TO_FIRST), f"transpose {order}")
        return Activation(x.tensor, not x.first)

    def _conv2d(self, node: Node, x: Activation, kernel: np.ndarray) -> Activation:
        _expect(not x.first, "channels last")
        strides, dilations = (_ints(node, key) for key in ("strides", "dilations"))
        kwargs = {"strides": strides, "padding": _text(node, "padding"), "dilations": dilations}
        return Activation(self._tf.nn.conv2d(x.tensor, kernel, **kwargs), first=False)

    def _maxpool(self, node: Node, x: Activation) -> Activation:
        _expect(not x.first, "channels last")
        window = (_ints(node, "ksize"), _ints(node, "strides"), _text(node, "padding"))
        return Activation(self._tf.nn.max_pool2d(x.tensor, *window), first=False)

    def _resizebilinear(self, node: Node, x: Activation, size: np.ndarray) -> Activation:
        _expect(not x.first, "channels last")
        resize = self._tf.compat.v1.image.resize_bilinear
        flags = {key: node["attr"][key]["b"] for key in ("align_corners", "half_pixel_centers")}
        return Activation(resize(x.tensor, [int(side) for side in size], **flags), first=False)

    def _pad(self, _: Node, x: Activation, sides: np.ndarray) -> Activation:
        # PadV2 pads with minus infinity before a max-pool of values above zero: zero does the
        # same there, and keeps the range that 8 bits have to cover small.
        return Activation(self._tf.pad(x.tensor, sides[TO_LAST] if x.first else sides), x.first)

    def _padv2(self, node: Node, x: Activation, sides: np.ndarray, _: np.ndarray) -> Activation:
        return self._pad(node, x, sides)

    def _add(self, _: Node, x: Activation, y: Any) -> Activation:
        if isinstance(y, Activation):
            _expect(x.first == y.first, "one layout")
            return Activation(x.tensor + y.tensor, x.first)
        if x.first and y.ndim >= 3:
            y = np.moveaxis(y, y.ndim - 3, -1)
        return Activation(x.tensor + y, x.first)

    def _leakyrelu(self, node: Node, x: Activation) -> Activation:
        slope = float(node["attr"]["alpha"]["f"])
        return Activation(self._tf.nn.leaky_relu(x.tensor, slope), x.first)

    def _sigmoid(self, _: Node, x: Activation) -> Activation:
        return Activation(self._tf.sigmoid(x.tensor), x.first)

    def _concatv2(self, _: Node, *inputs: Any) -> Activation:
        *parts, axis = inputs
        axis = int(axis) % 4
        axis = _LAST_AXIS_OF[axis] if parts[0].first else axis
        return Activation(self._tf.concat([part.tensor for part in parts], axis), parts[0].first)

    def _splitv(self, _: Node, x: Activation, sizes: np.ndarray, axis: np.ndarray) -> list[Any]:
        own_axis = _LAST_AXIS_OF[int(axis)] if x.first else int(axis)
        parts = self._tf.split(x.tensor, [int(size) for size in sizes], own_axis)
        return [Activation(part, x.first) for part in parts]


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"This is not the graph this tool was written for: expected {what}.")


def _ints(node: Node, key: str) -> list[int]:
    return [int(value) for value in node["attr"][key]["list"]["i"]]


def _text(node: Node, key: str) -> str:
    return base64.b64decode(node["attr"][key]["s"]).decode()
