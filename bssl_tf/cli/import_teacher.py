"""Turns a public PyTorch ResNet into a teacher.

    python -m bssl_tf.cli.import_teacher --source=moco_v2_800ep_pretrain.pth.tar --output=runs/moco_v2
    python train.py --teacher=runs/moco_v2 …

Takes .pth, .pth.tar, .pt, .ckpt and .bin (with PyTorch, which loads tensors only and runs nothing that the file
holds), .safetensors and .npz. Recognises who wrote the file by the names in it: MoCo, SwAV, BYOL, SimCLR, SimSiam,
Barlow Twins, VICReg, DINO, VISSL, solo-learn, Lightly, OpenMMLab, torchvision, timm.
"""

from pathlib import Path

from absl import flags

from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

PIXELS = ("auto", "0..255", "0..1", "-1..1", "imagenet", "swav")


def main() -> None:
    """Run the command."""
    arguments = flags.FLAGS
    source, output = Path(arguments.source), Path(arguments.output)
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise ConfigError(f"--output={output} exists: name a new folder.")

    import_tensorflow()
    from bssl_tf.models.pytorch_import.convert import import_teacher, save_teacher

    console.print(f"reading {source} …")
    pixels = None if arguments.pixels == "auto" else arguments.pixels
    teacher = import_teacher(source, pixels=pixels, keep_head=arguments.keep_head)
    console.print(f"SHA-256: {teacher.sha256}")
    console.print(f"recognised: {teacher.layout}; {teacher.spec.name}, {teacher.model.output_shape[-1]} features")
    dropped = ", ".join(f"{kind} ({count})" for kind, count in teacher.dropped.items())
    console.print(f"left out (number of tensors): {dropped or 'nothing'}")
    if "projection head" in teacher.dropped:
        console.print("if the projection head is a plain one, --keep_head keeps it too")
    console.print(f"pixels as {teacher.pixels}: mean {teacher.spec.mean}, std {teacher.spec.std} of 0..255")
    save_teacher(teacher, output, source.name)
    kept = " with its projection head" if teacher.head is not None else ""
    console.print(f"[bold green]done[/]: {output}{kept}; use it as --teacher={output}")


def run() -> None:
    """Console script ``bssl-import-teacher``."""
    flags.DEFINE_string("source", None, "The checkpoint.", required=True)
    flags.DEFINE_string("output", None, "Folder to write, new or empty.", required=True)
    flags.DEFINE_enum(
        "pixels",
        "auto",
        PIXELS,
        "Range of pixels that the network was trained with; auto: what the recognised code base has. timm's variants "
        "may differ (-1..1), and Google's SimCLR, converted, has 0..1.",
    )
    flags.DEFINE_boolean("keep_head", False, "Save the projection head beside the backbone.")
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
