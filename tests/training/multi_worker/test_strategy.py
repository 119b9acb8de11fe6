"""Two real processes on loopback compute what one does; they stop together, notice a death, and hand over to one.

One run goes through all of it: two workers, one of which is asked to stop; again two, one of which is killed; one
process that ends it. Its like is trained by one process alone, to compare.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bssl_tf.models import load_backbone
from bssl_tf.training.monitoring.metrics_log import read_table
from tests.training.multi_worker.workers import ROOT, Workers

FLAGS = (
    "--flagfile=flags/digits.cfg",
    "--max_train_images=200",
    "--max_test_images=100",
    "--teacher_width=8",
    "--teacher_stages=1",
    "--teacher_epochs=5",
    "--teacher_warmup_epochs=0",
    "--teacher_batch_size=50",
    "--student_stages=1",
    "--pseudo_classes=8",
    "--target=joint",
    "--ablation=balancing",
    "--epochs=25",
    "--warmup_epochs=0",
    "--batch_size=50",
    "--knn_every=5",
    "--log_every=1",
    "--checkpoint_minutes=0.005",
)


class Story:
    """What the processes did, and left."""

    def __init__(self, folder):
        self.alone, self.together = folder / "alone", folder / "together"
        flags = [(*FLAGS, f"--workdir={workdir}") for workdir in (self.alone, self.together)]

        logs = folder / "alone_logs"
        logs.mkdir()
        alone = Workers(flags[0], 1, logs)
        table = self.together / "stage2" / "metrics.csv"

        asked = Workers(flags[1], 2, folder)
        asked.wait_for_rows(table, 5)
        asked.processes[1].send_signal(signal.SIGTERM)
        self.asked = asked.wait()
        self.stopped_at = len(read_table(table))

        killed = Workers(flags[1], 2, folder)
        killed.wait_for_rows(table, self.stopped_at + 30)
        killed.processes[0].kill()
        start = time.monotonic()
        self.killed = killed.wait()
        self.seconds_to_notice = time.monotonic() - start

        ended = Workers(flags[1], 1, folder)
        self.ended = ended.wait()
        assert alone.wait()[0] == [0]

    def losses(self, phase):
        """Losses of each step, of one process and of two."""
        return [
            np.array([row["loss"] for row in read_table(workdir / phase / "metrics.csv")])
            for workdir in (self.alone, self.together)
        ]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


def test_the_float_teacher_has_the_losses_of_one_process(story):
    one, two = story.losses("teacher")
    assert len(one) == len(two) == 20
    np.testing.assert_allclose(two, one, rtol=1e-4)


def test_the_binary_student_has_them_until_a_rounding_error_flips_a_sign(story):
    one, two = story.losses("stage2")
    assert len(one) == len(two) == 100
    np.testing.assert_allclose(two[:4], one[:4], rtol=1e-3)
    np.testing.assert_allclose(two[-20:].mean(), one[-20:].mean(), rtol=0.1)


def test_asked_to_stop_on_one_worker_both_stop_at_the_same_step(story):
    statuses, said = story.asked
    assert statuses == [130, 143]  # it was SIGTERM that the second one got
    for text in said:
        assert f"stopped at step {story.stopped_at};" in text
    assert "Traceback" not in "".join(said)


def test_a_killed_worker_ends_the_run_within_a_minute_with_a_message(story):
    statuses, (_, said) = story.killed
    assert statuses == [-signal.SIGKILL, 1] and story.seconds_to_notice < 60
    assert re.search(r"error: worker 0 \(127.0.0.1:\d+\) is gone.*the same command on all workers", said)
    assert "Traceback" not in said


def test_one_process_goes_on_from_two_and_ends_the_run(story):
    statuses, (said,) = story.ended
    assert statuses == [0]
    going_on = int(re.search(r"stage 2: going on from step (\d+) of 100", said).group(1))
    assert going_on > story.stopped_at
    assert [row["step"] for row in read_table(story.together / "stage2" / "metrics.csv")] == list(range(1, 101))
    assert json.loads((story.together / "stage2" / "summary.json").read_text())["steps"] == 100


def test_what_two_workers_saved_is_a_backbone_like_any_other(story):
    networks = [load_backbone(workdir / "teacher")[0] for workdir in (story.alone, story.together)]
    for ours, theirs in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    accuracies = [
        [row["knn"] for row in read_table(workdir / "teacher" / "epochs.csv") if "knn" in row]
        for workdir in (story.alone, story.together)
    ]
    np.testing.assert_allclose(*accuracies, atol=0.02)


def test_only_the_chief_speaks(story):
    assert len(story.asked[1][1].splitlines()) == 2  # that it joins, and that it has stopped


@pytest.fixture(scope="module")
def mirrored():
    """What `mirrored_program.py` has found with two devices in one process."""
    program = Path(__file__).with_name("mirrored_program.py")
    result = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "what, tolerance",
    [
        ("batch norm: outputs", 1e-5),
        ("batch norm: gradients", 1e-4),
        ("batch norm: moving mean", 1e-5),
        ("batch norm: moving variance", 1e-5),
        ("contrastive loss", 1e-6),
        ("contrastive gradients", 1e-5),
        ("global variance", 1e-5),
        ("losses of moco_v2", 1e-5),
        ("losses of byol", 1e-5),
        ("losses of swav", 1e-5),
        ("losses of bssl, contrast", 1e-5),
        ("target of bssl, contrast", 1e-4),
        ("losses of bssl, balanced", 1e-5),
        ("target of bssl, balanced", 1e-4),
        ("losses of micro batches", 1e-5),
        ("SimCLR losses after a checkpoint of one device", 1e-5),
        ("one device from their checkpoint", 0.0),
    ],
)
def test_two_devices_of_a_machine_compute_what_one_does(mirrored, what, tolerance):
    assert mirrored[what] <= tolerance


def test_a_batch_that_two_devices_cannot_share_is_refused(mirrored):
    assert mirrored["refused"].startswith("--batch_size=7 is that of all 2 devices together")
