"""The cached features are the teacher's, of exactly the views that training sees, or there is an error."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from bssl_tf.config.training import ViewSettings
from bssl_tf.data import training_views, views_in_order
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.errors import ConfigError, DiskFull, Interrupted, UserError
from bssl_tf.methods.bssl import Bssl
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone
from bssl_tf.runs import teacher_files
from bssl_tf.training import feature_cache
from bssl_tf.training.feature_cache import FeatureCache, check_space, folder_of, write_about
from bssl_tf.training.teacher_features import caches_folder
from bssl_tf.training.training_data import LocalFeatures

SPEC = dict(image_size=8, channels=1, mean=(100.0,), std=(60.0,), stages=1)
VIEW = dict(image_size=8, channels=1, views=ViewSettings(flip=False))
IMAGES, BATCH = 37, 10


@pytest.fixture(scope="module")
def teacher():
    return build_backbone(BackboneSpec("resnet_small", width=16, mode="float", **SPEC))


@pytest.fixture(scope="module")
def source():
    return ArraySource("noise", np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 1), dtype=np.uint8))


@pytest.fixture
def cache(tmp_path, teacher):
    return FeatureCache(tmp_path, IMAGES, teacher.output_shape[-1], cycles=2)


def in_order(source, seed=5):
    return lambda cycle, start: views_in_order(source, seed=seed, epoch=cycle, start=start, **VIEW).as_numpy_iterator()


def fill(cache, teacher, source):
    cache.fill(LocalFeatures(teacher).features, in_order(source), Console(quiet=True))


def training(source, targets=None):
    options = dict(seed=1, view_seed=5, view_cycle=2, batch_size=BATCH, epochs=5, targets=targets)
    return training_views(source, **VIEW, **options)


def test_every_view_of_training_comes_with_the_teachers_features(cache, teacher, source):
    fill(cache, teacher, source)
    assert not cache.missing and cache.missing_bytes == 0
    elements = list(training(source, cache.lookup(source.ids)))
    assert len(elements) == 15
    for views, cached in elements:
        assert cached.shape == (BATCH, 2, 32) and cached.dtype == tf.float16
        for number, view in enumerate(views):
            np.testing.assert_allclose(cached[:, number], teacher(view), rtol=2e-3, atol=2e-3)
    assert np.ptp(elements[0][1]) > 0.1  # features that differ, so that a wrong row would show


def test_views_repeat_after_the_cycle_in_another_order(source):
    epochs = [
        [views[0].numpy() for ((views),) in list(training(source))[3 * epoch : 3 * epoch + 3]] for epoch in range(3)
    ]
    images = [{image.tobytes() for batch in epoch for image in batch} for epoch in epochs]
    assert not images[0] & images[1]
    assert len(images[0] & images[2]) >= 2 * 3 * BATCH - IMAGES  # all but those left over in one of the two
    assert not np.array_equal(epochs[0][0], epochs[2][0])


def test_losses_are_the_same_with_and_without_cache(cache, teacher, source):
    fill(cache, teacher, source)

    def losses(cached):
        tf.keras.utils.set_random_seed(0)
        student = build_backbone(BackboneSpec("reactnet_small", width=32, mode="binary_activations", **SPEC))
        model = Bssl(teacher, student, pseudo_classes=8)
        model.compile(tf.keras.optimizers.Adam(1e-4))
        history = []
        log = tf.keras.callbacks.LambdaCallback(
            on_batch_end=lambda batch, logs: (history.append([logs["kl"], logs["similarity"]]), model.reset_metrics())
        )
        model.fit(training(source, cached).take(6), verbose=0, callbacks=[log])
        return history

    from_cache, computed = losses(cache.lookup(source.ids)), losses(None)
    np.testing.assert_allclose(from_cache[0], computed[0], rtol=1e-3)
    np.testing.assert_allclose(from_cache, computed, rtol=2e-2)  # the cache's float16 flips a sign now and then


def test_an_interrupted_fill_goes_on_where_it_was_marked(cache, teacher, source, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "_ROWS_BETWEEN_MARKS", 1)

    def small(cycle, start):  # batches of 5
        views = views_in_order(source, seed=5, epoch=cycle, start=start, **VIEW)
        return views.unbatch().batch(5).as_numpy_iterator()

    features, seen = LocalFeatures(teacher).features, []

    def failing(pixels):
        if len(seen) == 8:
            raise KeyboardInterrupt
        seen.append(len(pixels))
        return features(pixels)

    with pytest.raises(Interrupted, match="views 1/2; the same command goes on") as stopped:
        cache.fill(failing, small, Console(quiet=True))
    assert not stopped.value.agreed  # other workers wait for the cache, and have to be told
    assert cache.missing == [0, 1] and (tmp_path / "cycle-0000.rows").read_text() == "20"
    starts = []
    (tmp_path / ".cycle-0000.rows.ab12cd_9.tmp").write_text("2")  # a killed process left this
    cache.fill(
        features, lambda cycle, start: (starts.append((cycle, start)), small(cycle, start))[1], Console(quiet=True)
    )
    assert starts == [(0, 20), (1, 0)] and not cache.missing
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.rows*"))
    for cycle in range(2):
        views = [np.concatenate(view) for view in zip(*in_order(source)(cycle, 0), strict=True)]
        expected = np.stack([teacher(view) for view in views], axis=1)
        np.testing.assert_allclose(np.load(tmp_path / f"cycle-000{cycle}.npy"), expected, rtol=2e-3, atol=2e-3)


def test_a_longer_cycle_adds_to_what_is_there(cache, teacher, source):
    fill(cache, teacher, source)
    longer = FeatureCache(cache.folder, IMAGES, cache.width, cycles=3)
    assert longer.missing == [2] and longer.missing_bytes == IMAGES * 2 * 32 * 2


def test_damage_is_told(cache, teacher, source, tmp_path):
    np.save(tmp_path / "cycle-0001.npy", np.zeros((3, 2, 32), np.float16))
    with pytest.raises(UserError, match="cycle-0001.npy is not what its name says: delete"):
        _ = cache.missing
    np.save(tmp_path / "cycle-0001.npy", np.zeros((IMAGES, 2, 32), np.float16))
    whole = (tmp_path / "cycle-0001.npy").read_bytes()
    for content in (b"", whole[:100], whole[:-1], b"x" * len(whole)):
        (tmp_path / "cycle-0001.npy").write_bytes(content)
        with pytest.raises(UserError, match="cycle-0001.npy is not what its name says: delete"):
            _ = cache.missing
    (tmp_path / "cycle-0001.npy").unlink()
    with pytest.raises(UserError, match="beyond float16's range"):
        cache.fill(lambda pixels: np.full((len(pixels), 32), 1e6), in_order(source), Console(quiet=True))
    assert cache.missing == [0, 1]
    fewer = FeatureCache(tmp_path / "fewer", IMAGES + 1, 32, cycles=1)
    with pytest.raises(UserError, match="37 images were read, but there should be 38"):
        fill(fewer, teacher, source)


def test_the_key_is_all_that_shapes_a_feature(tmp_path):
    folder = folder_of(tmp_path, {"teacher": "a", "seed": 0})
    assert folder_of(tmp_path, {"seed": 0, "teacher": "a"}) == folder
    assert folder_of(tmp_path, {"seed": 1, "teacher": "a"}) != folder
    for _ in range(2):
        write_about(folder, {"teacher": "a", "seed": 0})
    with pytest.raises(UserError, match="not what its folder's name says"):
        write_about(folder, {"teacher": "b", "seed": 0})


def test_a_disk_too_small_is_refused_with_the_sizes(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2e9, 1e9, 1e9))
    check_space(tmp_path, int(0.9e9), 10)
    with pytest.raises(ConfigError, match="--view_cycle=10 needs 1.2 GB .* 1 GB are free"):
        check_space(tmp_path, int(1.2e9), 10)


def test_a_cycle_that_was_begun_needs_no_more_room(cache):
    each = cache.total_bytes // 2
    assert cache.missing_bytes == 2 * each
    cache._opened(cache.folder / "cycle-0000.partial", begun=False)
    assert cache.missing_bytes == each


def test_sources_know_their_ids_and_when_they_change(source):
    images = source._images.numpy()
    same, other = ArraySource("again", images), ArraySource("noise", images[::-1])
    assert same.fingerprint == source.fingerprint != other.fingerprint
    np.testing.assert_array_equal(source.ids, [example["id"] for example in source.examples()])


def test_a_disk_that_fills_up_ends_in_one_line_and_keeps_what_is_whole(cache, teacher, source, monkeypatch):
    first = FeatureCache(cache.folder, IMAGES, cache.width, cycles=1)
    fill(first, teacher, source)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskFull, match=r"the disk is full: .*cycle-0001.partial takes .* are free. Free some space"):
        fill(cache, teacher, source)
    assert cache.missing == [1] and not list(cache.folder.glob("*.partial"))


def test_features_are_kept_with_the_teacher_they_are_of(tmp_path):
    spec = BackboneSpec("resnet_small", width=16, mode="float", **SPEC)
    for folder in ("run/teacher", "imports/moco_v2"):
        save_backbone(build_backbone(spec), spec, tmp_path / folder)
    (tmp_path / "saved.h5").touch()
    found = {}
    for teacher in ("resnet_small", "run", "run/teacher", "imports/moco_v2", "saved.h5"):
        files = teacher_files(tmp_path / "run", teacher if teacher == "resnet_small" else str(tmp_path / teacher))
        found[teacher] = caches_folder("", files, tmp_path / "mine").relative_to(tmp_path).as_posix()
        assert caches_folder("disk", files, tmp_path / "mine") == Path("disk")
    assert found == {
        **dict.fromkeys(("resnet_small", "run", "run/teacher"), "run/features"),
        "imports/moco_v2": "imports/moco_v2/features",
        "saved.h5": "mine/features",
    }


def test_features_have_their_blocks_before_they_are_written_to_memory(cache):
    """Else a full disk kills the process."""
    rows = cache._opened(cache.folder / "x.partial", begun=False)
    assert os.stat(cache.folder / "x.partial").st_blocks * 512 >= rows.nbytes
