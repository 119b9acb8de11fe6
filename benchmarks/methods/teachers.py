"""A teacher outlives its machine: the weights of a shared one are part of the results."""

import shutil
from pathlib import Path

from benchmarks.methods import records
from benchmarks.methods.execution import Place
from benchmarks.methods.plan import SETTINGS, Run, teacher_run
from bssl_tf.runs import BACKBONE_FILES, PhaseFolder

FILES = (
    *BACKBONE_FILES,
    *("projection.json", "projection.weights.h5", "settings.json", "summary.json", "images.json"),
)


def unfinished(runs: list[Run], place: Place, folder: Path) -> list[Run]:
    """The runs without a record, and teachers that have one but whose weights these runs lack here."""
    missing = [run for run in runs if records.load(run, folder) is None]
    wanted = {teacher_run(run.setting, run.seed) for run in missing if run.key != "teacher"}
    lost = [run for run in runs if run in wanted and run not in missing and not restored(run, place, folder)]
    return [run for run in runs if run in missing or run in lost]


def restored(run: Run, place: Place, folder: Path) -> bool:
    """Whether a teacher's weights are there, copied from the results if need be."""
    there = place.folder(run)
    if PhaseFolder(there / "teacher").done:
        return True
    kept = _kept(run, folder)
    if not kept.exists():
        return False
    shutil.copytree(kept, there / "teacher", dirs_exist_ok=True)
    return True


def keep(run: Run, place: Place, folder: Path) -> None:
    """Copy a shared teacher's weights into the results."""
    if SETTINGS[run.setting].shared_teacher:
        kept = _kept(run, folder)
        kept.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(place.folder(run) / "teacher" / name, kept / name)


def _kept(run: Run, folder: Path) -> Path:
    return folder / f"{run.name}-weights"
