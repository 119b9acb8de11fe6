"""Settings of `bssl_tf.export` and `convert.py`, as dataclass fields that become flags."""

from dataclasses import dataclass

from bssl_tf.config.setting import MOST_COUNTED, setting
from bssl_tf.errors import ConfigError

OUTPUTS = ("features", "codes")
INPUT_TYPES = ("uint8", "float32")
FLOAT_WEIGHTS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class ExportSettings:
    """What an exported file holds."""

    outputs: str = setting(
        "",
        "What the file gives: features (float32), codes (one bit a feature, 8 to a byte), or features,codes. Empty: "
        "features; a classifier always gives logits.",
    )
    input_type: str = setting("uint8", "Type of the file's input; pixels 0..255 in both.", choices=INPUT_TYPES)
    fold: bool = setting(True, "Rewrite the network into one that computes the same with fewer operators.")
    float_weights: str = setting(
        "float32",
        "How kernels of float layers are stored. The report says by how much rounding them moves the features.",
        choices=FLOAT_WEIGHTS,
    )
    parity_images: int = setting(2000, "Test images to compare file and Keras network on.", low=16, high=MOST_COUNTED)
    overwrite: bool = setting(False, "Replace a file that came from other weights or options.")

    @property
    def backbone_outputs(self) -> tuple[str, ...]:
        """The outputs of a backbone's file, in their usual order.

        Raises:
            ConfigError: one of them does not exist.
        """
        names = [name.strip() for name in (self.outputs or OUTPUTS[0]).split(",")]
        unknown = [name for name in names if name not in OUTPUTS]
        if unknown:
            raise ConfigError(f"--outputs={self.outputs}: give one or more of {', '.join(OUTPUTS)}.")
        return tuple(name for name in OUTPUTS if name in names)
