"""Turns a trained student into a .tflite file for Larq Compute Engine, and proves that it is the same network.

    python convert.py --workdir=runs/digits --output=model.tflite
    python convert.py --classifier=runs/digits/evaluation/classifiers/NAME --output=classifier.tflite

The file takes pixels as the user has them (0..255), and says of itself what an app must know. Beside it stand a
report for people (.md) and one for programs (.json). If file and Keras network disagree on real test images, nothing
is written.

    python convert.py --lint=PATH                       what will not be fast on the phone; exit status for CI
    python convert.py --show=model.tflite               what the file says of itself
    python convert.py --benchmark=android --output=…    how fast it is there
"""

import json
import shlex
import sys
from pathlib import Path

from absl import flags

from bssl_tf.cli import benchmark, lint, show
from bssl_tf.config import flags as configuration
from bssl_tf.config.training import DataSettings
from bssl_tf.console import console, run_entry_point
from bssl_tf.deploy import phone_file
from bssl_tf.deploy.subjects import subject_of
from bssl_tf.errors import ConfigError
from bssl_tf.files import write_bytes
from bssl_tf.native_logs import import_tensorflow

OTHER_JOBS = (lint, show, benchmark)
"""What this program does instead of converting, each with a flag of its own."""


def main() -> None:
    for other_job in OTHER_JOBS:
        if flags.FLAGS[other_job.FLAG].present:
            other_job.main()
            return
    _convert()


def _convert() -> None:
    arguments = flags.FLAGS
    subject, output = subject_of(arguments.workdir, arguments.classifier), Path(arguments.output)
    outputs = phone_file.asked_outputs(subject)
    _check_output(output)
    identity = {
        "weights": subject.fingerprint,
        "input_type": arguments.input_type,
        "fold": arguments.fold,
        "float_weights": arguments.float_weights,
        "outputs": ",".join(outputs),
    }
    if _converted_before(output, identity):
        console.print(
            f"[bold green]done[/]: {output} was made from these very weights, see {output.with_suffix('.md')}"
        )
        return
    if output.exists() and not arguments.overwrite:
        raise ConfigError(
            f"--output={output} exists and came from other weights or options: name another file, or add --overwrite."
        )
    data = configuration.group_from_flags(DataSettings, base=subject.data)

    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.data import evaluation_images, load_source, readable_data_errors
    from bssl_tf.deploy import compare, convert_backbone, deployment_plan, inspect_file, write_report
    from bssl_tf.deploy.flatbuffer.float_weights import with_float_weights
    from bssl_tf.deploy.folding import fewest_bytes, fold

    tf.keras.mixed_precision.set_global_policy("float32")
    network, spec = subject.load()
    test = load_source(data, "test", subject.folder.parent)
    every = max(1, test.num_examples // arguments.parity_images)
    images = evaluation_images(test, image_size=spec.image_size, channels=spec.channels, every=every)

    console.print(f"converting {network.name} from {subject.folder} …")
    centre = None
    if "codes" in outputs:
        centre = phone_file.code_centre(network, spec, load_source(data, "train", subject.folder.parent))
    options = dict(input_type=arguments.input_type, output=subject.output, code_centre=centre)
    content = convert_backbone(network, **options, folded=arguments.fold)
    unfolded = inspect_file(convert_backbone(network, **options, folded=False)) if arguments.fold else None
    console.print("comparing with Keras on real test images …")
    with readable_data_errors():
        parity = compare(network, content, images).check()
        rounding = {}
        if arguments.float_weights != "float32":
            exact, content = content, with_float_weights(content, arguments.float_weights)
            if content is exact:
                console.print("no float kernel is large enough to gain from --float_weights: all stay float32")
            rounding[f"then float weights in {arguments.float_weights}"] = str(compare(network, content, images))
        if centre is not None:
            console.print(phone_file.checked_codes(content, centre, images))
    content = phone_file.with_facts(content, spec, subject, outputs, images)
    write_bytes(output, content)
    write_report(
        output,
        inspect_file(content),
        deployment_plan(network),
        parity,
        command=shlex.join(["python", *sys.argv]),
        extra={"source": identity, "test data": test.name, **rounding, **subject.facts},
        unfolded=unfolded,
        fewest_bytes=fewest_bytes(fold(network)),
    )
    console.print(str(parity))
    console.print(
        f"[bold green]done[/]: {output} ({len(content) / 1024:.0f} KiB), report in {output.with_suffix('.md')}"
    )
    if subject.class_names is not None:
        console.print(f"next: python evaluate.py --model={output} --dataset={data.dataset}")
    elif output.parent != Path(arguments.workdir) and "features" in outputs:
        console.print(f"next: python evaluate.py --workdir={arguments.workdir} --model={output}")


def _check_output(output: Path) -> None:
    if output.suffix != ".tflite":
        raise ConfigError(f"--output={output} must be a file name that ends in .tflite.")
    if output.is_dir():
        raise ConfigError(f"--output={output} is a folder: name a file.")


def _converted_before(output: Path, identity: dict[str, str]) -> bool:
    report = output.with_suffix(".json")
    if not (output.exists() and report.exists()):
        return False
    return json.loads(report.read_text()).get("extra", {}).get("source") == identity


def run() -> None:
    """Console script ``bssl-convert``."""
    configuration.define_flags(DataSettings)
    flags.DEFINE_string("workdir", "", "The run whose student is converted.")
    flags.DEFINE_string("classifier", "", "Instead: a fine-tuned classifier's folder, see evaluate.py.")
    flags.DEFINE_string("output", "model.tflite", "The file to write.")
    flags.DEFINE_enum("input_type", "uint8", ["uint8", "float32"], "Type of the file's input; pixels 0..255 in both.")
    flags.DEFINE_boolean("fold", True, "Rewrite the network into one that computes the same with fewer operators.")
    flags.DEFINE_enum(
        "float_weights",
        "float32",
        ["float32", "float16", "int8"],
        "How kernels of float layers are stored. The report tells by how much rounding them moves the features.",
    )
    flags.DEFINE_boolean("overwrite", False, "Replace a file that came from other weights or options.")
    flags.DEFINE_integer("parity_images", 2000, "Test images to compare file and Keras network on.", lower_bound=16)
    for part in (phone_file, *OTHER_JOBS):
        part.define_flags()
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
