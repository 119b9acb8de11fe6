"""`benchmarks.kills` names every file that is not as in the reference."""

import json

import h5py
import numpy as np
import pytest

from benchmarks.kills import differences


@pytest.fixture
def runs(tmp_path):
    """Two runs that differ in times and in the workdir's name alone."""
    for name in ("reference", "series1"):
        folder = tmp_path / name / "stage2"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("step,loss\n4,0.5\n")
        (folder / "summary.json").write_text(json.dumps({"steps": 4, "seconds": 1.5 + len(name)}))
        report = {"date": name, "sha256": name, "sha256_of_report": name}
        (folder.parent / "model.json").write_text(json.dumps(report))
        (folder.parent / "config.json").write_text(json.dumps({"run": {"workdir": str(folder.parent)}}))
        with h5py.File(folder / "backbone.weights.h5", "w") as file:
            file["00000"] = np.arange(3.0)
    return tmp_path / "reference", tmp_path / "series1"


def test_times_and_the_workdirs_name_do_not_count(runs):
    assert differences(*runs) == []


def test_numbers_weights_missing_files_and_leftovers_count(runs):
    stage = runs[1] / "stage2"
    (stage / "metrics.csv").write_text("step,loss\n4,0.50001\n")
    (stage / "summary.json").write_text('{"steps": 5, "seconds": 1.5}')
    with h5py.File(stage / "backbone.weights.h5", "r+") as file:
        file["00000"][0] = 1e-30
    assert differences(*runs) == ["stage2/backbone.weights.h5", "stage2/metrics.csv", "stage2/summary.json"]
    (stage / ".epochs.csv.abcdefgh.tmp").write_text("")
    (runs[1] / "config.json").unlink()
    assert differences(*runs)[:2] == [
        "config.json (in one of them only)",
        "stage2/.epochs.csv.abcdefgh.tmp (left over)",
    ]


def test_leftovers_of_both_runs_count(runs):
    for run in runs:
        (run / "stage2" / ".epochs.csv.tmp").write_text("")
    assert differences(*runs) == ["stage2/.epochs.csv.tmp (left over)"]
