"""A trained backbone becomes a .tflite file that takes pixels as the user has them.

    content = convert_backbone(backbone)                # (1, S, S, C) uint8 pixels → (1, D) float32 features
    pathlib.Path("model.tflite").write_bytes(content)

The file's signature calls its input ``pixels`` and its output ``features``, that of a classifier ``logits``. With
``uint8`` input the file itself casts to float, so an app passes the bytes of its picture and nothing needs to be
scaled.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from larq_compute_engine.mlir._tf_tfl_flatbuffer import convert_graphdef_to_tflite_flatbuffer
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bssl_tf.config.export import INPUT_TYPES
from bssl_tf.deploy.codes import codes_in_graph
from bssl_tf.deploy.flatbuffer.edit import name_signature, packed, unpacked
from bssl_tf.deploy.flatbuffer.inspect import inspect_file
from bssl_tf.deploy.folding import FoldedNetwork, fold
from bssl_tf.errors import UserError
from bssl_tf.native_logs import held_back_stderr, last_lines


class ConversionError(UserError):
    """The converter refused the network; the message holds the end of its log."""


def convert_backbone(
    backbone: tf.keras.Model,
    *,
    input_type: str = "uint8",
    folded: bool | FoldedNetwork = True,
    output: str = "features",
    code_centre: np.ndarray | None = None,
    outputs_of: Callable[[tf.Tensor], dict[str, tf.Tensor]] | None = None,
) -> bytes:
    """Convert a backbone with Larq Compute Engine.

    Args:
        backbone: (None, S, S, C) float32 pixels in 0..255 → (None, D) features; float32 throughout.
        input_type: type of the file's input, uint8 or float32; both mean pixels in 0..255.
        folded: rewrite the network first into one with fewer operators that computes the same, see `folding`; or the
            network as `folding.fold` has rewritten it.
        output: what the signature calls the output.
        code_centre: (D,) where features are cut into binary codes (`bssl_tf.deploy.codes`), which makes these a second
            output, ``codes``; None: no codes.
        outputs_of: the network's output → name and value of all outputs of the file, computed in the file; `output` and
            `code_centre` then play no part. None: as these two say.

    Returns:
        The content of the .tflite file, for one image at a time.

    Raises:
        UserError: mixed precision, an image size that is not fixed, or another input type.
        ConversionError: Larq Compute Engine's converter failed, or left operators that the engine lacks.
    """
    if input_type not in INPUT_TYPES:
        raise UserError(f"--input_type={input_type!r} is unknown; give one of {', '.join(INPUT_TYPES)}.")
    shape = _fixed_shape(backbone)
    _require_float32(backbone)
    network = _function_of(backbone, folded)
    with held_back_stderr() as log:
        try:
            content = _converted(network, shape, input_type, outputs_of or _features_and_codes(output, code_centre))
        except Exception as error:
            raise ConversionError(
                f"Larq Compute Engine could not convert {backbone.name!r}: {error}\n"
                f"The end of its log:\n{last_lines(log)}"
            ) from error
    foreign = inspect_file(content).foreign_operators
    if foreign:  # the converter accepts them silently
        raise ConversionError(
            f"Larq Compute Engine has no operator for {', '.join(foreign)}, which {backbone.name!r} uses. "
            "Build the backbone from layers that TensorFlow Lite supports."
        )
    return content


def _function_of(backbone: tf.keras.Model, folded: bool | FoldedNetwork) -> Callable[[tf.Tensor], tf.Tensor]:
    if isinstance(folded, FoldedNetwork):
        return folded
    return fold(backbone) if folded else functools.partial(backbone, training=False)


def _features_and_codes(output: str, code_centre: np.ndarray | None) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    def outputs_of(features: tf.Tensor) -> dict[str, tf.Tensor]:
        codes = {} if code_centre is None else {"codes": codes_in_graph(features, code_centre)}
        return {output: features} | codes

    return outputs_of


def _converted(
    network: Callable, shape: tuple[int, ...], input_type: str, outputs_of: Callable[[tf.Tensor], dict[str, tf.Tensor]]
) -> bytes:
    """The file of a network, passed to the converter as a bare graph whose weights are constants.

    `lce.convert_keras_model` writes a SavedModel instead, for which Keras traces and saves every layer by itself: most
    of the time with deep networks.
    """
    names: list[str] = []

    @tf.function(input_signature=[tf.TensorSpec(shape, input_type)], autograph=False)
    def serve(pixels: tf.Tensor) -> list[tf.Tensor]:
        named = outputs_of(network(tf.cast(pixels, tf.float32)))
        names[:] = named
        return list(named.values())

    function = serve.get_concrete_function()
    if function.captured_inputs:
        function = convert_variables_to_constants_v2(function, lower_control_flow=False)
    (pixels,), outputs = function.inputs, function.outputs
    content = convert_graphdef_to_tflite_flatbuffer(
        function.graph.as_graph_def().SerializeToString(),
        [pixels.op.name],
        [DataType.Name(pixels.dtype.as_datatype_enum)],
        [list(shape)],
        [each.op.name for each in outputs],
        False,  # no quantisation of activations
        "arm",
        None,  # no range for activations
    )
    model = unpacked(content)
    name_signature(model, ["pixels"], names)
    return packed(model)


def _fixed_shape(backbone: tf.keras.Model) -> tuple[int, ...]:
    shape = backbone.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(f"A backbone takes one batch of images, (None, S, S, C); this one takes {shape}.")
    if None in shape[1:]:
        raise UserError(
            f"The backbone takes images of shape {shape[1:]}, which leaves sizes open, but a .tflite file"
            " needs them fixed. Build the backbone with a fixed size: set --image_size (and --channels)."
        )
    return (1, *shape[1:])


def _require_float32(backbone: tf.keras.Model) -> None:
    for layer in backbone.submodules:
        if isinstance(layer, tf.keras.layers.Layer) and layer.compute_dtype not in ("float32", None):
            raise UserError(
                f"Layer {layer.name!r} computes in {layer.compute_dtype}, but the converter takes float32"
                " only. Build the backbone again under the policy 'float32'"
                " (tf.keras.mixed_precision.set_global_policy('float32')) and load its weights into it."
            )
