"""Turns a trained student into a .tflite file for Larq Compute Engine, and proves that it is the same network.

    python convert.py --workdir=runs/digits --output=model.tflite

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

from bssl_tf import config as configuration
from bssl_tf.cli import benchmark, lint, phone_file, show
from bssl_tf.cli.console import console, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint, write_bytes
from bssl_tf.quiet import import_tensorflow
from bssl_tf.settings import DataSettings
from bssl_tf.training.phases import BACKBONE_FILES

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
    if not arguments.workdir:
        raise ConfigError("--workdir is not set: name the run whose student is to be converted.")
    workdir, output = Path(arguments.workdir), Path(arguments.output)
    folder = _student_folder(workdir)
    outputs = phone_file.asked_outputs()
    _check_output(output)
    identity = {
        "weights": "-".join(fingerprint(folder / name) for name in BACKBONE_FILES),
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
    data = configuration.group_from_flags(DataSettings, base=configuration.load(workdir / "config.json").data)

    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.data import evaluation_images, load_source, readable_data_errors
    from bssl_tf.deploy import compare, convert_backbone, deployment_plan, inspect_file, write_report
    from bssl_tf.deploy.float_weights import with_float_weights
    from bssl_tf.deploy.folding import fewest_bytes, fold
    from bssl_tf.models import load_backbone

    tf.keras.mixed_precision.set_global_policy("float32")
    backbone, spec = load_backbone(folder)
    test = load_source(data, "test", workdir)
    every = max(1, test.num_examples // arguments.parity_images)
    images = evaluation_images(test, image_size=spec.image_size, channels=spec.channels, every=every)

    console.print(f"converting {spec.name} from {folder} …")
    centre = phone_file.code_centre(backbone, spec, load_source(data, "train", workdir)) if "codes" in outputs else None
    options = dict(input_type=arguments.input_type, code_centre=centre)
    content = convert_backbone(backbone, **options, folded=arguments.fold)
    unfolded = inspect_file(convert_backbone(backbone, **options, folded=False)) if arguments.fold else None
    console.print("comparing with Keras on real test images …")
    with readable_data_errors():
        parity = compare(backbone, content, images).check()
        rounding = {}
        if arguments.float_weights != "float32":
            exact, content = content, with_float_weights(content, arguments.float_weights)
            if content is exact:
                console.print("no float kernel is large enough to gain from --float_weights: all stay float32")
            rounding[f"then float weights in {arguments.float_weights}"] = str(compare(backbone, content, images))
        if centre is not None:
            console.print(phone_file.checked_codes(content, centre, images))
    content = phone_file.with_facts(content, spec, folder, identity["weights"], outputs, images)
    write_bytes(output, content)
    write_report(
        output,
        inspect_file(content),
        deployment_plan(backbone),
        parity,
        command=shlex.join(["python", *sys.argv]),
        extra={"source": identity, "test data": test.name, **rounding},
        unfolded=unfolded,
        fewest_bytes=fewest_bytes(fold(backbone)),
    )
    console.print(str(parity))
    console.print(
        f"[bold green]done[/]: {output} ({len(content) / 1024:.0f} KiB), report in {output.with_suffix('.md')}"
    )
    if output.parent != workdir and "features" in outputs:
        console.print(f"next: python evaluate.py --workdir={workdir} --model={output}")


def _student_folder(workdir: Path) -> Path:
    folder = workdir / "stage2"
    if (folder / BACKBONE_FILES[0]).exists():
        return folder
    if (workdir / "stage1" / BACKBONE_FILES[0]).exists():
        raise ConfigError(
            f"--workdir={workdir} holds stage 1 only, whose weights are float: train stage 2 (--stages=1,2) before "
            "converting."
        )
    raise ConfigError(f"--workdir={workdir} holds no finished stage 2: train one first, see train.py.")


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
