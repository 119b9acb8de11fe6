"""The teacher's features of a run: where they are kept, what they depend on, how they get there."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from rich.console import Console

from bssl_tf.config.flags import Config
from bssl_tf.data import views_in_order
from bssl_tf.data.augmentation.views import VIEWS_VERSION
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import appears
from bssl_tf.models import build_backbone
from bssl_tf.models.spec import SPEC_FILE
from bssl_tf.runs import Phase, needs, teacher_path
from bssl_tf.training.feature_cache import (
    ABOUT,
    FeatureCache,
    check_space,
    folder_of,
    others_text,
    size_text,
    write_about,
)
from bssl_tf.training.multi_worker.strategy import Distribution
from bssl_tf.training.run_data import Inputs, teacher_spec
from bssl_tf.training.training_data import LocalFeatures, view_seed


def is_wanted(config: Config) -> bool:
    """Whether this run keeps its teacher's features."""
    return config.cache.view_cycle > 0 and config.cache.feature_cache and needs(config, "teacher")


def check_before_training(
    config: Config, inputs: Inputs, teacher: tf.keras.Model | None, fingerprint: str | None
) -> None:
    """Find out before the first phase whether the features of the last will fit on the disk.

    Args:
        config: the run's.
        inputs: its images.
        teacher: None where it is yet to be trained.
        fingerprint: of the teacher's files.

    Raises:
        ConfigError: they will not, or their folder cannot be written.
    """
    model = teacher or build_backbone(teacher_spec(config, inputs))
    cache = _cache(config, fingerprint, inputs, model.output_shape[-1])
    needed = cache.total_bytes if teacher is None else cache.missing_bytes
    if needed:
        check_space(_parent(config), needed, cache.cycles)


def feature_lookup(
    config: Config,
    phase: Phase,
    inputs: Inputs,
    teacher: tf.keras.Model,
    console: Console,
    distribution: Distribution,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Fill the cache where something is missing (the chief does), and give the function that reads it.

    Returns:
        epoch, ids (batch,) → (batch, 2, width) float16.

    Raises:
        ConfigError: the disk is too small, or the folder cannot be written.
        UserError: a worker does not see what the chief has begun to write.
        Interrupted: by Ctrl-C.
    """
    cache = _cache(config, phase.settings["teacher_fingerprint"], inputs, teacher.output_shape[-1])
    if distribution.chief:
        write_about(cache.folder, _about(config, phase.settings["teacher_fingerprint"], inputs))
        _fill(config, inputs, teacher, cache, console)
    elif not appears(cache.folder / ABOUT):
        raise UserError(
            f"{cache.folder.parent} does not show what worker 0 writes there: name a folder on a disk that all workers "
            "share with --feature_cache_dir."
        )
    while cache.missing:  # asleep in Python, where Ctrl-C is heard
        time.sleep(0.5)
    distribution.wait_for_all()
    return cache.lookup(inputs.train.ids)


def _cache(config: Config, fingerprint: str | None, inputs: Inputs, width: int) -> FeatureCache:
    folder = folder_of(_parent(config), _about(config, fingerprint, inputs))
    cycles = min(config.cache.view_cycle, config.optimizer.epochs)
    return FeatureCache(folder, inputs.train.num_examples, width, cycles)


def _about(config: Config, fingerprint: str | None, inputs: Inputs) -> dict:
    """All that shapes a feature. Its hash names the cache's folder: a new name here makes every cache out of date."""
    views = dataclasses.asdict(config.views)
    return {
        "teacher": fingerprint,
        "teacher_pixels": config.teacher.teacher_pixels,
        "images": inputs.train.fingerprint,
        "image_size": inputs.image_size,
        "channels": inputs.channels,
        "views": {name: value for name, value in views.items() if not name.startswith("local_crop")},
        "view_seed": view_seed(config),
        "precision": config.compute.precision,
        "recipe": VIEWS_VERSION,
    }


def _fill(config: Config, inputs: Inputs, teacher: tf.keras.Model, cache: FeatureCache, console: Console) -> None:
    missing = len(cache.missing)
    kept = f"teacher's features of {cache.cycles} epochs of views, {size_text(cache.total_bytes)} in {cache.folder}"
    if not missing:
        console.print(f"{kept}: there already", markup=False)
        return
    check_space(cache.folder, cache.missing_bytes, cache.cycles)
    console.print(f"{kept}: {missing} of {cache.cycles} to be computed", markup=False)
    if others := others_text(cache.folder):
        console.print(others, markup=False)

    def views_from(cycle: int, start: int):
        return views_in_order(
            inputs.train,
            image_size=inputs.image_size,
            channels=inputs.channels,
            views=config.views,
            seed=view_seed(config),
            epoch=cycle,
            start=start,
        ).as_numpy_iterator()

    cache.fill(LocalFeatures(teacher).features, views_from, console)


def _parent(config: Config) -> Path:
    teacher = teacher_path(config)
    beside_teacher = teacher.parent if (teacher / SPEC_FILE).exists() else Path(config.run.workdir)
    folder = Path(config.cache.feature_cache_dir or beside_teacher / "features")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"The teacher's features cannot be kept in {folder} ({error.strerror}): name another folder with "
            "--feature_cache_dir."
        ) from None
    return folder
