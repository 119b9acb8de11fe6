"""What `bssl_tf.cli.convert` adds to a converted network: other outputs by flag, and facts for the phone."""

import json
import sys

import numpy as np
from absl import flags

from bssl_tf.deploy.subjects import Subject
from bssl_tf.errors import ConfigError

OUTPUTS = ("features", "codes")
_CENTRE_IMAGES = 10_000
_IMAGES_RUN_AGAIN = 16


def define_flags() -> None:
    flags.DEFINE_list(
        "outputs",
        ["features"],
        "What the file gives: features (float32), codes (one bit a feature, 8 to a byte), or features,codes.",
    )


def asked_outputs(subject: Subject) -> tuple[str, ...]:
    """The outputs asked for, in their usual order; a classifier has its logits only.

    Raises:
        ConfigError: one of them does not exist, or there is none.
    """
    asked = flags.FLAGS.outputs
    if subject.class_names is not None:
        if flags.FLAGS["outputs"].present:
            raise ConfigError(f"--outputs={','.join(asked)} is for backbones; a classifier gives logits: leave it out.")
        return (subject.output,)
    unknown = [name for name in asked if name not in OUTPUTS]
    if unknown or not asked:
        raise ConfigError(f"--outputs={','.join(asked)}: give one or more of {', '.join(OUTPUTS)}.")
    return tuple(name for name in OUTPUTS if name in asked)


def code_centre(backbone: "tf.keras.Model", spec: "BackboneSpec", train: "Source") -> np.ndarray:  # noqa: F821
    """Mean feature over at most 10 000 training images, taken evenly."""
    from bssl_tf.data import evaluation_images, readable_data_errors
    from bssl_tf.deploy.codes import feature_centre

    every = -(-train.num_examples // _CENTRE_IMAGES)
    images = evaluation_images(train, image_size=spec.image_size, channels=spec.channels, every=every)
    with readable_data_errors():
        return feature_centre(backbone, images)


def checked_codes(content: bytes, centre: np.ndarray, images: "tf.data.Dataset") -> str:  # noqa: F821
    """Prove that the file's codes are the signs of its features, and tell how balanced they are."""
    from bssl_tf.deploy.codes import check_codes

    ones = check_codes(content, centre, np.concatenate(list(images.as_numpy_iterator())))
    low, middle, high = np.percentile(ones, [5, 50, 95])
    return (
        f"codes: the signs of all features, {len(ones)} bits; a bit is 1 for {middle:.0%} of the images (median), for "
        f"{low:.0%} to {high:.0%} with nine bits of ten"
    )


def with_facts(
    content: bytes,
    spec: "BackboneSpec",  # noqa: F821
    subject: Subject,
    outputs: tuple[str, ...],
    images: "tf.data.Dataset",  # noqa: F821
) -> bytes:
    """The file with those outputs only, and with all that the phone needs to know.

    The facts are read back and compared, and the finished file is run on a batch of images beside the one given.

    Raises:
        MetadataError, ConversionError: what was read or computed differs.
    """
    from bssl_tf.deploy import ConversionError, TfliteBackbone
    from bssl_tf.deploy.flatbuffer.edit import keep_outputs
    from bssl_tf.deploy.metadata import FileFacts, attach_metadata, check_metadata
    from bssl_tf.deploy.provenance import provenance

    settings = subject.folder / "settings.json"
    training = json.loads(settings.read_text()) if settings.exists() else {"dataset": subject.data.dataset}
    names = subject.class_names
    colours = "grey" if spec.channels == 1 else "RGB"
    facts = FileFacts(
        name=spec.name,
        description=f"Binary network for Larq Compute Engine: {spec.image_size}×{spec.image_size} {colours} pixels in "
        f"0..255 to {' and '.join(outputs)}.",
        version=subject.fingerprint,
        provenance=provenance(spec, subject.fingerprint, training, outputs, ["python", *sys.argv]),
        labels={} if names is None else {subject.output: tuple(names)},
    )
    finished = attach_metadata(keep_outputs(content, outputs), facts)
    check_metadata(finished, facts)
    batch = next(images.as_numpy_iterator())[:_IMAGES_RUN_AGAIN]
    before, after = (TfliteBackbone(file).outputs(batch, outputs) for file in (content, finished))
    if not all(map(np.array_equal, before, after)):
        raise ConversionError("With its metadata the file computes something else: this is a defect of the program.")
    return finished
