"""Finds the networks to evaluate: those of a run, and those named one by one.

TensorFlow is imported only where a .tflite file lies there without its report, so that the file itself has to be read.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bssl_tf.config.training import Config
from bssl_tf.console import console
from bssl_tf.deploy.subjects import LOGITS
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.evaluation.protocols.base import Network
from bssl_tf.files import fingerprint, read_json
from bssl_tf.methods.registry import description
from bssl_tf.models.choices import BINARY
from bssl_tf.runs import BACKBONE_FILES, STAGES, Workdir, has_backbone, teacher_files

_INTERPRETER = "LCE interpreter"
_MAPPING = (dict, type(None))
_REPORT = {"parity": _MAPPING, "parity_rounded": _MAPPING, "extra": _MAPPING, "outputs": (list, type(None))}
"""Types of what is used of a file's report, as far as it is there."""


def networks_of_run(workdir: Path, config: Config) -> list[Network]:
    """A random binary network, both stages, the teacher and all .tflite files, as far as they are there.

    Raises:
        ConfigError: a stage holds half a checkpoint, or one of another student.
    """
    found = []
    method = config.method.method
    if "." not in method:  # else it is of another package, which a run of somebody else must not get imported
        method = description(method).title
    labels = {1: "stage 1: binary activations", 2: f"{method} student, binary"}
    stages = [number for number in STAGES if Workdir(workdir).stage(number).has_backbone]
    for number in stages:
        folder = Workdir(workdir).stage(number).path
        found.append(_checkpoint(folder, labels[number]))
        _check_student(folder, found[-1].backbone_fields["name"], config.student.student)
    if stages:
        found.insert(0, _random(Workdir(workdir).stage(stages[-1]).path, config.run.seed))
    teacher = teacher_files(workdir, config.teacher.teacher)  # config.run.workdir is where it was trained
    if teacher.has_backbone:
        found.append(_checkpoint(teacher.path, "teacher, float"))
    elif stages and not teacher.path.exists() and "." not in config.method.method and config.uses_teacher:
        console.print(
            f"[yellow]note[/]: the teacher is left out: {teacher.path.absolute()} is not there "
            f"(--teacher={config.teacher.teacher} of this run). Copy it there, or name it with --model."
        )
    return found + [_tflite(path) for path in sorted(workdir.glob("*.tflite")) if not _gives_only_codes(path)]


def named_networks(paths: Sequence[str | os.PathLike]) -> list[Network]:
    """Those of --model.

    Raises:
        ConfigError: a path is neither a .tflite file nor a folder with a backbone.
    """
    found = []
    for path in map(Path, paths):
        if path.suffix == ".tflite" and path.is_file():
            found.append(_tflite(path))
        elif has_backbone(path):
            found.append(_checkpoint(path, str(path)))
        else:
            raise ConfigError(
                f"--model={path} is neither a .tflite file nor a folder with {BACKBONE_FILES[0]} (such as "
                "WORKDIR/stage2)."
            )
    return found


def each_once(named: Sequence[Network], of_run: Sequence[Network]) -> list[Network]:
    """All networks, each once and under a name of its own.

    Args:
        named: those of --model. One that is also in the run has the run's name; a file that shares its name with
            another one is called by its whole path.
        of_run: those of --workdir.
    """
    requested = {network.identity for network in named}
    by_identity = {network.identity: network for network in [*reversed(named), *of_run]}
    found = [by_identity.pop(network.identity) for network in [*named, *of_run] if network.identity in by_identity]
    names = Counter(network.name for network in found)
    return [
        dataclasses.replace(
            network,
            name=f"{network.path}, {_INTERPRETER}" if names[network.name] > 1 and network.path else network.name,
            requested=network.identity in requested,
        )
        for network in found
    ]


def _check_student(folder: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ConfigError(
            f"{folder} holds a checkpoint of another student: a {found}, but the run's config.json says "
            f"--student={expected}. Evaluate it by itself: --model={folder}."
        )


def _checkpoint(folder: Path, name: str) -> Network:
    def load() -> Any:
        from bssl_tf.models import load_backbone

        return load_backbone(folder)[0]

    missing = [file for file in BACKBONE_FILES if not (folder / file).exists()]
    if missing:
        raise ConfigError(f"{folder} holds no whole backbone: {missing[0]} is missing.")
    identity = "-".join(fingerprint(folder / file) for file in BACKBONE_FILES)
    return Network(name, identity, load, spec=_spec(folder))


def _random(folder: Path, seed: int) -> Network:
    spec = _spec(folder) | {"mode": BINARY}

    def load() -> Any:
        import tensorflow as tf

        from bssl_tf.models import BackboneSpec, build_backbone

        tf.keras.utils.set_random_seed(seed)
        return build_backbone(BackboneSpec(**spec))

    identity = f"seed {seed} {fingerprint(folder / BACKBONE_FILES[0])}"
    return Network("random network, binary", identity, load, spec=spec, pretrained=False)


def _tflite(path: Path) -> Network:
    def load() -> Any:
        from bssl_tf.deploy.interpreter import TfliteBackbone, TfliteClassifier

        if names is not None:
            return TfliteClassifier(path)
        backbone = TfliteBackbone(path)
        backbone.output_of_features()  # refused before anything is measured, if there is none
        return backbone

    facts: dict[str, Any] = {"bytes": path.stat().st_size}
    report = _report_beside(path)
    names = (report.get("extra") or {}).get("class_names")
    if report:
        parity = report.get("parity_rounded") or report.get("parity") or {}
        facts["deviation"] = parity.get("largest_deviation")
    if names is None and "outputs" not in report:
        names = _class_names_in(path)
    return Network(
        f"{path.name}, {_INTERPRETER}",
        fingerprint(path),
        load,
        class_names=names and tuple(names),
        facts=facts,
        path=path,
    )


def _class_names_in(path: Path) -> tuple[str, ...] | None:
    """Names of a classifier's classes as the file itself holds them; None of other files."""
    from bssl_tf.native_logs import import_tensorflow

    import_tensorflow()
    from bssl_tf.deploy.flatbuffer.inspect import TfliteFileError, read_file
    from bssl_tf.deploy.metadata import MetadataError, read_metadata

    try:
        return read_metadata(read_file(path)).labels.get(LOGITS)
    except MetadataError:
        return None  # the file is of another program
    except TfliteFileError:
        return None  # it is damaged, and refused as soon as it is loaded


def _gives_only_codes(path: Path) -> bool:
    """Whether a file has nothing to measure: as its report says."""
    outputs = _report_beside(path).get("outputs")
    return outputs is not None and [output["name"] for output in outputs] == ["codes"]


def _report_beside(path: Path) -> dict[str, Any]:
    """What convert.py has written on a .tflite file; empty if there is nothing.

    Raises:
        UserError: it is damaged; names the file and, if it can be read, the key.
    """
    facts, remedy = path.with_suffix(".json"), "export the file again, or move its report away"
    if not facts.exists():
        return {}
    report = read_json(facts, dict, remedy)
    for name, kind in _REPORT.items():
        if not isinstance(report.get(name), kind):
            raise UserError(f"{facts}: {name} cannot be {str(report[name])[:40]!r}: {remedy}.")
    for output in report.get("outputs") or ():
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise UserError(f"{facts}: outputs cannot hold {str(output)[:40]!r}: {remedy}.")
    return report


def _spec(folder: Path) -> dict[str, Any]:
    return read_json(folder / BACKBONE_FILES[0], dict, "restore it from a copy")
