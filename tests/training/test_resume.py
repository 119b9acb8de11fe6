"""A run that was interrupted ends as if it had not been: same weights, same losses, no row twice."""

import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import (
    BsslSettings,
    Config,
    DataSettings,
    FeatureCacheSettings,
    MethodSettings,
    OptimizerSettings,
    PretrainingSettings,
    RunSettings,
    StudentSettings,
    TeacherSettings,
)
from bssl_tf.errors import Interrupted, UserError
from bssl_tf.models import load_backbone
from bssl_tf.training import checkpoints, stages
from bssl_tf.training.monitoring.metrics_log import read_table
from bssl_tf.training.run import train


def config_for(workdir, micro_batches=1, view_cycle=0, checkpoint_minutes=10.0, method=MethodSettings(), **bssl):
    return Config(
        data=DataSettings(max_train_images=50, max_test_images=40),
        student=StudentSettings(student_stages=1),
        teacher=TeacherSettings(teacher_width=8, teacher_stages=1),
        pretraining=PretrainingSettings(teacher_epochs=2, teacher_batch_size=16, teacher_warmup_epochs=1),
        method=method,
        bssl=BsslSettings(pseudo_classes=8, target_learning_rate_multiplier=0.5, **bssl),
        optimizer=OptimizerSettings(epochs=2, batch_size=16, warmup_epochs=1, micro_batches=micro_batches),
        cache=FeatureCacheSettings(view_cycle=view_cycle),
        run=RunSettings(workdir=str(workdir), log_every=2, knn_every=2, checkpoint_minutes=checkpoint_minutes),
    )


class StopAt(tf.keras.callbacks.Callback):
    """Sends the signal that a person or a cluster would send, during a given step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.optimizer.iterations) + 1 == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def run(monkeypatch):
    """Train; `stop` maps phase names to the step to stop at."""

    def run(config, stop=MappingProxyType({})):
        train_phase = stages.train_phase

        def interruptible(phase, method, data, callbacks=(), **options):
            if phase.name in stop:
                callbacks = (*callbacks, StopAt(stop[phase.name]))
            return train_phase(phase, method, data, callbacks=callbacks, **options)

        with monkeypatch.context() as patch:
            patch.setattr(stages, "train_phase", interruptible)
            return train(config)

    return run


class WholeRun:
    """A run that nothing interrupts, with a checkpoint at every step; and what was seen of it."""

    def __init__(self, workdir):
        self.workdir = workdir
        self.saved = []  # phase and step of every checkpoint
        self.started_from, self.ended_with = {}, {}  # phase → network → weights
        train_phase, write_sums = stages.train_phase, checkpoints.write_sums

        def watched_write_sums(folder, step):
            self.saved.append((folder.parent.name, step))
            write_sums(folder, step)

        def weights(method):
            return {name: network.get_weights() for name, network in method.networks.items()}

        def watched_train_phase(phase, method, data, **options):
            self.started_from[phase.name] = weights(method)
            summary = train_phase(phase, method, data, **options)
            self.ended_with[phase.name] = weights(method)
            return summary

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stages, "train_phase", watched_train_phase)
            patch.setattr(checkpoints, "write_sums", watched_write_sums)
            train(config_for(workdir, view_cycle=1, checkpoint_minutes=0.0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return WholeRun(tmp_path_factory.mktemp("runs") / "whole")


def test_resumes_to_the_step_across_stages(run, whole, tmp_path):
    parts = config_for(tmp_path / "parts", view_cycle=1)
    for stop in ({"teacher": 2}, {"stage1": 5}, {"stage2": 3}):  # in an epoch, between two rows, at an epoch's end
        with pytest.raises(Interrupted, match="the same command goes on") as stopped:
            run(parts, stop)
        assert stopped.value.agreed and stopped.value.status in (130, 143)
        assert not (tmp_path / "parts" / next(iter(stop)) / "summary.json").exists()
    run(parts)
    for phase in ("teacher", "stage1", "stage2"):
        expected, result = (load_backbone(workdir / phase)[0] for workdir in (whole.workdir, tmp_path / "parts"))
        for ours, theirs in zip(result.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        steps = [row["step"] for row in read_table(tmp_path / "parts" / phase / "metrics.csv")]
        assert steps == [2, 3, 4, 6]  # every second step and every epoch's end, once
    (features,) = (tmp_path / "parts" / "features").iterdir()  # one key: both stages share them
    assert len(list(features.glob("cycle-*.npy"))) == 1
    for phase in ("teacher", "stage1", "stage2"):
        folders = (whole.workdir / phase, tmp_path / "parts" / phase)
        for table in ("metrics.csv", "epochs.csv"):
            expected, result = ((folder / table).read_text() for folder in folders)
            assert result == expected
        summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
        for name in ("steps", "epochs", "final", "warnings"):
            assert summaries[0][name] == summaries[1][name]


def test_the_commands_that_come_next_can_be_pasted(run, whole, tmp_path, capsys):
    moved = tmp_path / "two words"
    shutil.copytree(whole.workdir, moved)
    run(config_for(moved, view_cycle=1))
    said = capsys.readouterr().out
    assert f" '--workdir={moved}' '--output={moved}/model.tflite'\n" in said
    assert f" '--workdir={moved}'\n" in said


def test_every_checkpoint_is_written_once(whole):
    """Replacing one is the only way to have files of two saves under one name."""
    assert whole.saved == [(phase, step) for phase in ("teacher", "stage1", "stage2") for step in range(1, 7)]


def test_signals_are_given_back_however_training_ends(tmp_path, monkeypatch):
    class Fails(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise FloatingPointError("diverged")

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train_phase = stages.train_phase
    monkeypatch.setattr(
        stages, "train_phase", lambda *given, **options: train_phase(*given, callbacks=(Fails(),), **options)
    )
    with pytest.raises(FloatingPointError, match="diverged"):
        train(config_for(tmp_path / "run"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_outside_the_main_thread_signals_are_left_alone(tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    config = config_for(tmp_path / "run", method=MethodSettings(method="supervised", stages="2"))
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(train, config).result()["stage2"]["steps"] == 6
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_stage_2_starts_from_all_three_networks_of_stage_1(whole):
    started_from = whole.started_from["stage2"]
    assert set(started_from) == {"backbone", "classifier", "target_classifier", "feature_map"}
    for name, weights in started_from.items():
        for ours, theirs in zip(weights, whole.ended_with["stage1"][name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    modes = [load_backbone(whole.workdir / stage)[1].mode for stage in ("stage1", "stage2")]
    assert modes == ["binary_activations", "binary"]


def test_the_checkpoint_holds_nothing_of_the_teacher_but_all_of_the_rest(run, tmp_path):
    config = config_for(tmp_path / "run", micro_batches=2, ablation="joint", target="joint")
    run(config)
    checkpoint = tf.train.latest_checkpoint(str(tmp_path / "run" / "stage2" / "checkpoints"))
    names = [name for name, _ in tf.train.list_variables(checkpoint)]
    roots = {name.split("/")[0] for name in names}
    assert roots >= {"backbone", "classifier", "target_classifier", "optimizer", "target_optimizer", "seconds"}
    assert not any("teacher" in name for name in names)
    balance = [row["balance"] for row in read_table(tmp_path / "run" / "stage2" / "metrics.csv")]
    assert balance == [0.0] * len(balance)


def test_a_run_whose_stage_1_has_lost_its_checkpoints(run, whole, tmp_path):
    workdir = tmp_path / "run"
    config, stage1, stage2 = config_for(workdir, view_cycle=1), workdir / "stage1", workdir / "stage2"
    shutil.copytree(whole.workdir, workdir)
    shutil.rmtree(stage1 / "checkpoints")
    (stage2 / "summary.json").unlink()  # as where it was interrupted
    run(config)  # it has a checkpoint of its own
    assert (stage2 / "summary.json").exists()
    expected = load_backbone(stage1)[0].get_weights()

    shutil.rmtree(stage2)
    remedy = r"delete .*/stage1/summary\.json, and the same command trains stage1 again"
    with pytest.raises(UserError, match=remedy):
        run(config)
    (stage1 / "summary.json").unlink()
    with pytest.raises(Interrupted, match="stopped at step 1;"):  # of stage 2, which begins
        run(config, {"stage2": 1})
    for ours, theirs in zip(load_backbone(stage1)[0].get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_without_a_whole_checkpoint_the_phase_is_to_be_deleted(tmp_path):
    folder = tmp_path / "stage1" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "ckpt-6.index").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"delete .*/stage1, and the same command trains stage1 again"):
        checkpoints.restore_networks(folder, None)
