"""From a trained network to a finished .tflite file: folding, conversion, proof of parity, metadata, report.

    export = bssl_tf.export("runs/digits", "digits.tflite")
    export.parity.agreeing                  # share of test images on which file and Keras network agree to rounding
    export.report["bytes"]                  # what digits.json holds; digits.md says it to people

If file and Keras network disagree on real test images, nothing is written.
"""

import contextlib
import functools
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bssl_tf.config.export import ExportSettings
from bssl_tf.config.training import DataSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.console import console
from bssl_tf.deploy.finished_export import finished_export
from bssl_tf.deploy.papers import papers, with_checksums
from bssl_tf.deploy.subjects import Subject, subject_of
from bssl_tf.errors import ConfigError
from bssl_tf.file_sets import finish_set, write_set
from bssl_tf.files import check_writable
from bssl_tf.locks import alone, lock_beside
from bssl_tf.native_logs import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

    from bssl_tf.data import Source
    from bssl_tf.deploy.metadata import FileFacts
    from bssl_tf.deploy.parity import Parity
    from bssl_tf.models import BackboneSpec

_IMAGES_RUN_AGAIN = 16
FEW_IMAGES = 64
"""Where test images are fewer, training images are compared, too: parity asks for equal numbers, not for good ones."""


@dataclass(frozen=True)
class Export:
    """An exported file.

    Attributes:
        path: the .tflite file; beside it lie a report for people (.md) and one for programs (.json).
        report: content of the .json report, see `bssl_tf.deploy.make_report`.
        reused: whether the file existed already, made from the same weights with the same options.
    """

    path: Path
    report: dict[str, Any]
    reused: bool = False

    @property
    def parity(self) -> "Parity":
        """How the file's outputs deviate from those of the Keras network.

        With float weights in fewer bits, how those of the same file with all its bits do; see `rounded`.
        """
        from bssl_tf.deploy.parity import Parity

        return Parity.from_dict(self.report["parity"])

    @property
    def rounded(self) -> "Parity | None":
        """How the outputs of the file itself deviate where its float weights are stored in fewer bits."""
        from bssl_tf.deploy.parity import Parity

        rounded = self.report.get("parity_rounded")
        return Parity.from_dict(rounded) if rounded else None


def export(
    source: str | os.PathLike | Subject,
    output: str | os.PathLike,
    settings: ExportSettings = ExportSettings(),
    *,
    data: DataSettings | None = None,
    images: "Source | None" = None,
    command: Sequence[str] = (),
) -> Export:
    """Export a trained network as a .tflite file for Larq Compute Engine.

        bssl_tf.export("runs/digits", "model.tflite", ExportSettings(outputs="features,codes"))

    Args:
        source: a run's workdir, whose student is exported, or the folder of a fine-tuned classifier.
        output: the file to write; its name ends in .tflite.
        settings: outputs, input type, folding, storage of float weights.
        data: images to compare file and Keras network on (and to centre binary codes on); those of the run by default.
        images: to compare on in place of those of `data`.
        command: the command line to name in report and metadata; this call by default.

    Returns:
        The file with its report. A file that exists and came from the same weights and options is not made again, as
        long as its reports are as they were written.

    Raises:
        ConfigError: nothing to export in `source`, or a setting or file name that cannot be used.
        UserError: the network cannot be converted, or the file does not compute what the network computes.
    """
    validate_group(settings)
    subject = source if isinstance(source, Subject) else subject_of(source)
    path = _checked_path(Path(output))
    outputs = _outputs(subject, settings)
    identity = {
        "weights": subject.fingerprint,
        "input_type": settings.input_type,
        "fold": settings.fold,
        "float_weights": settings.float_weights,
        "outputs": ",".join(outputs),
    }
    check_writable(path, "--output")
    with alone(lock_beside(path), f"--output={path}", "name another --output"):
        finish_set(path)
        if "codes" in outputs:
            import_tensorflow()
            identity["centred on"] = _training_images(subject, data or subject.data).fingerprint
        if (report := finished_export(path, identity, settings.overwrite)) is not None:
            return Export(path, report, reused=True)
        import_tensorflow()
        with _float32_policy():
            command = command or _as_command(subject, path, settings)
            data = data or subject.data
            return Export(path, _export(subject, path, settings, data, images, outputs, identity, command))


def _export(
    subject: Subject,
    path: Path,
    settings: ExportSettings,
    data: DataSettings,
    given: "Source | None",
    outputs: tuple[str, ...],
    identity: dict[str, Any],
    command: Sequence[str],
) -> dict[str, Any]:
    from bssl_tf.data import load_source, readable_data_errors
    from bssl_tf.deploy import compare, convert_backbone, deployment_plan, inspect_file, make_report
    from bssl_tf.deploy.codes import balance_of_codes, check_codes, code_centre
    from bssl_tf.deploy.flatbuffer.float_weights import with_float_weights
    from bssl_tf.deploy.folding import fewest_bytes, fold, operators_unfolded
    from bssl_tf.deploy.provenance import file_facts

    network, spec = subject.load()
    test = load_source(data, "test", subject.folder.parent) if given is None else given
    compared = [test]
    if given is None and _is_few(test, settings):
        compared.append(_training_images(subject, data))
    images = _images(compared, spec, settings.parity_images)

    console.print(f"converting {network.name} from {subject.folder} …", markup=False)
    centre = None
    if "codes" in outputs:
        centre = code_centre(network, spec, _training_images(subject, data))
    convert = functools.partial(
        convert_backbone, network, input_type=settings.input_type, output=subject.output, code_centre=centre
    )
    folded = fold(network)
    content = convert(folded=folded if settings.fold else False)
    unfolded = None
    if settings.fold:
        unfolded = operators_unfolded(folded, inspect_file(content).operators)
        if unfolded is None:
            unfolded = inspect_file(convert(folded=False)).operators

    kinds = "real test images" if given is None else "real images"
    if len(compared) > 1:
        kinds = f"the {test.num_examples} test images and on training images"
    console.print(f"comparing with Keras on {kinds} …")
    with readable_data_errors():
        parity = compare(network, content, images).check()
        rounded, exact = None, content
        if settings.float_weights != "float32":
            content = with_float_weights(exact, settings.float_weights)
            if content is exact:
                console.print("no float kernel is large enough to gain from --float_weights: all stay float32")
            else:
                rounded = compare(network, content, images).check_rounded(settings.float_weights)
        if centre is not None:
            ones = check_codes(content, centre, np.concatenate(list(images.as_numpy_iterator())))
            console.print(balance_of_codes(ones))
        facts = file_facts(subject, spec, outputs, command)
        content = _finished(content, facts, outputs, next(images.as_numpy_iterator())[:_IMAGES_RUN_AGAIN])
    data_compared = test.name if len(compared) == 1 else f"{test.name}, and training images"
    report, text = make_report(
        path.name,
        content,
        inspect_file(content),
        deployment_plan(network),
        parity,
        command=shlex.join(command),
        extra={"source": identity, "test data": data_compared, **subject.facts},
        rounded=rounded,
        unrounded=None if rounded is None else inspect_file(exact),
        unfolded=unfolded,
        fewest_bytes=fewest_bytes(folded),
    )
    report = with_checksums(report, text)
    write_set(path, {path.name: content, **papers(path, report, text)})
    return report


def has_few_test_images(subject: Subject, settings: ExportSettings, data: DataSettings) -> bool:
    """Whether `export` compares training images, too."""
    from bssl_tf.data import load_source

    return _is_few(load_source(data, "test", subject.folder.parent), settings)


def _is_few(test: "Source", settings: ExportSettings) -> bool:
    return test.num_examples < min(FEW_IMAGES, settings.parity_images)


def _training_images(subject: Subject, data: DataSettings) -> "Source":
    from bssl_tf.data import load_source

    return load_source(data, "train", subject.folder.parent)


def _images(sources: Sequence["Source"], spec: "BackboneSpec", wanted: int) -> "tf.data.Dataset":
    """About `wanted` images of the first source, evenly spread; of the second as many as make it `FEW_IMAGES`."""
    from bssl_tf.data import evaluation_images

    test, *train = sources
    parts = [(test, wanted), *((more, min(FEW_IMAGES, wanted) - test.num_examples) for more in train)]
    sizes = {"image_size": spec.image_size, "channels": spec.channels}
    datasets = [
        evaluation_images(source, every=max(1, source.num_examples // count), **sizes) for source, count in parts
    ]
    return functools.reduce(lambda first, second: first.concatenate(second), datasets)


def _finished(content: bytes, facts: "FileFacts", outputs: tuple[str, ...], images: np.ndarray) -> bytes:
    """The file with these outputs only, and with its metadata.

    The metadata are read back and compared, and the finished file is run on images beside the one given.
    """
    from bssl_tf.deploy import ConversionError, TfliteBackbone
    from bssl_tf.deploy.flatbuffer.edit import keep_outputs
    from bssl_tf.deploy.metadata import attach_metadata, check_metadata

    finished = attach_metadata(keep_outputs(content, outputs), facts)
    check_metadata(finished, facts)
    before, after = (TfliteBackbone(file).outputs(images, outputs) for file in (content, finished))
    if not all(map(np.array_equal, before, after)):
        raise ConversionError("With its metadata the file computes something else: this is a defect of the program.")
    return finished


def _outputs(subject: Subject, settings: ExportSettings) -> tuple[str, ...]:
    if subject.class_names is None:
        return settings.backbone_outputs
    if settings.outputs:
        raise ConfigError(f"--outputs={settings.outputs} is for backbones; a classifier gives logits: leave it out.")
    return (subject.output,)


def _checked_path(output: Path) -> Path:
    if output.suffix != ".tflite":
        raise ConfigError(f"--output={output} must be a file name that ends in .tflite.")
    if output.is_dir():
        raise ConfigError(f"--output={output} is a folder: name a file.")
    return output


def _as_command(subject: Subject, path: Path, settings: ExportSettings) -> list[str]:
    """The Python call, for report and metadata."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    changed = [f"{name}={value}" for name, value in values.items() if value != getattr(ExportSettings(), name)]
    return ["bssl_tf.export", str(subject.folder), str(path), *changed]


@contextlib.contextmanager
def _float32_policy() -> Iterator[None]:
    """The converter takes float32 only; the precision that was in effect returns afterwards."""
    import tensorflow as tf

    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("float32")
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
