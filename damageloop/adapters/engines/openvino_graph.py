"""A release's graph made ready to serve: its shape set, and its outputs given where they cost the least.

What active learning asks for costs 5 to 8 % of a bf16 forward pass when it is written as the graph has it: features and
entropy of thousands of anchors, of which a few dozen are read. So the network's maps are given as they lie in memory,
and the host reads the rows of the anchors that it keeps. A graph of another make keeps its outputs.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import numpy as np

# Names of the graph's outputs. The second is missing where a model has no side distributions, the last in releases
# made before there were box features.
OUTPUT_BOXES, OUTPUT_ENTROPY, OUTPUT_EMBEDDING = "output0", "dfl_entropy", "embedding"
OUTPUT_FEATURES = "anchor_features"
# What `serving_graph` adds: the highest class score of each anchor, and maps level by level.
OUTPUT_CONFIDENCE = "confidence"
_LEVEL = "{name}.level{number}"
# From the entropy back to the distributions that it is made of; more layers than that are none that we know.
_MAX_STEPS = 40


def load_openvino() -> Any:
    """Import OpenVINO without its telemetry, which otherwise reports each conversion to its maker.

    OpenVINO falls back to a stub when the telemetry package cannot be imported, so it is barred before the
    first import; there is no environment variable for it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def shared_core() -> Any:
    """Return this process's one `openvino.Core`, which is never given up.

    Each one that computes gives the thread that made it a stack for signals and, when it goes, puts back the one of
    before. Where that one's maker had gone first, the next Ctrl-C ended the process with SIGSEGV.
    """
    return _core_of(os.getpid())


@cache
def _core_of(_pid: int) -> Any:
    # By process: after a fork the parent's has none of its threads.
    return load_openvino().Core()


def level_names(name: str, known: frozenset[str]) -> list[str]:
    """Return which of the `known` outputs hold `name` level by level, in the order of the anchors."""
    names = [_LEVEL.format(name=name, number=number) for number in range(len(known))]
    return [one for one in names if one in known]


def serving_graph(model: Any, size_hw: tuple[int, int]) -> Any:
    """Return a copy of a graph for one shape of input, (1, height, width, 3), with outputs as `level_names` tells."""
    graph = model.clone()
    if graph.is_dynamic():
        graph.reshape([1, *size_hw, 3])
    outputs = {name for port in graph.outputs for name in port.get_names()}
    _add_confidence(graph)
    if OUTPUT_EMBEDDING in outputs:
        _split_precision_at(graph, OUTPUT_EMBEDDING)
    for name in (OUTPUT_FEATURES, OUTPUT_ENTROPY):
        if name in outputs:
            _give_levels(graph, name)
    graph.validate_nodes_and_infer_types()
    return graph


def _add_confidence(graph: Any) -> None:
    ops = _ops()
    boxes = _source(graph, OUTPUT_BOXES)
    end = np.array([np.iinfo(np.int64).max])
    scores = ops.slice(boxes, np.array([4]), end, np.array([1]), np.array([1]))
    _add_output(graph, ops.reduce_max(scores, np.array([1]), False), OUTPUT_CONFIDENCE)


def _split_precision_at(graph: Any, name: str) -> None:
    """Let what comes before a flat output, (1, n), be computed in the precision asked for."""
    source = _source(graph, name)
    shape = list(source.get_shape())
    _drop_output(graph, name)
    as_map = _ops().reshape(source, np.array([1, shape[1], 1, 1]), special_zero=False)
    _add_output(graph, _ops().reshape(_identity(as_map, shape[1]), np.array(shape), special_zero=False), name)


def _give_levels(graph: Any, name: str) -> None:
    """Replace an output over all anchors by the maps it is made of, channels last: (1, height, width, n_channels)."""
    source = _source(graph, name)
    maps = _level_maps(source.get_node())
    if sum(level.get_shape()[2] * level.get_shape()[3] for level in maps) != source.get_shape()[-1]:
        return
    _drop_output(graph, name)
    for number, level in enumerate(maps):
        channels_last = _ops().transpose(_identity(level, level.get_shape()[1]), np.array([0, 2, 3, 1]))
        _add_output(graph, channels_last, _LEVEL.format(name=name, number=number))


def _level_maps(node: Any) -> list[Any]:
    """Return the maps, (1, n_channels, height, width), that `node` or what it is made of puts beside one another."""
    for _ in range(_MAX_STEPS):
        flat = [node.input_value(index).get_node() for index in range(node.get_input_size())]
        if node.get_type_name() == "Concat" and all(one.get_type_name() == "Reshape" for one in flat):
            maps = [one.input_value(0) for one in flat]
            return maps if all(len(one.get_shape()) == 4 for one in maps) else []
        if not flat:
            break
        node = flat[0]
    return []


def _identity(port: Any, n_channels: int) -> Any:
    """Return a convolution that changes nothing.

    With bf16 asked for, OpenVINO computes in f32 all that lies between the last convolution and an output, and so gives
    that convolution f32 to write, which the layers behind it read as well. This one takes its place.
    """
    weights = _ops().constant(np.ones((n_channels, 1, 1, 1, 1), dtype=np.float32))
    return _ops().group_convolution(port, weights, [1, 1], [0, 0], [0, 0], [1, 1])


def _source(graph: Any, name: str) -> Any:
    return graph.output(name).get_node().input_value(0)


def _drop_output(graph: Any, name: str) -> None:
    port = _source(graph, name)
    graph.remove_result(graph.output(name).get_node())
    port.get_tensor().set_names(port.get_tensor().get_names() - {name})


def _add_output(graph: Any, node: Any, name: str) -> None:
    node.output(0).get_tensor().set_names({name})
    graph.add_outputs([node.output(0)])


def _ops() -> Any:
    load_openvino()
    from openvino import opset13

    return opset13
