"""The teacher's features of a run: what they depend on, where they are kept, how they get there."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from rich.console import Console

from bssl_tf.config.data import ViewSettings
from bssl_tf.data import views_in_order
from bssl_tf.data.augmentation.views import VIEWS_VERSION
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import appears, size_text
from bssl_tf.runs import TeacherFiles, Workdir
from bssl_tf.training.feature_cache import (
    ABOUT,
    FeatureCache,
    check_space,
    folder_of,
    others_text,
    write_about,
)
from bssl_tf.training.multi_worker.strategy import Distribution
from bssl_tf.training.run_data import RunData
from bssl_tf.training.training_data import LocalFeatures, repeated_view_seed


@dataclasses.dataclass(frozen=True)
class TeacherFeatures:
    """Features of views that repeat, on disk.

    Attributes:
        teacher: the files of the teacher that gives them.
        data: the run's images.
        views: strengths and probabilities of the views.
        seed: the run's.
        cycles: epochs of views to keep.
        precision: the policy that the teacher computes with.
        teacher_pixels: the pixels that the teacher takes.
        parent: the folder that holds the caches of all teachers and views.
    """

    teacher: TeacherFiles
    data: RunData
    views: ViewSettings
    seed: int
    cycles: int
    precision: str
    teacher_pixels: str
    parent: Path

    def check_space(self, width: int) -> None:
        """Find out before the first phase whether the features of the last will fit on the disk.

        Args:
            width: of the teacher's features.

        Raises:
            ConfigError: they will not, or their folder cannot be written.
        """
        cache = self._cache(width)
        needed = cache.missing_bytes if self.teacher.fingerprint() else cache.total_bytes
        if needed:
            check_space(_writable(self.parent), needed, cache.cycles)

    def lookup(
        self, model: tf.keras.Model, console: Console, distribution: Distribution
    ) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Fill the cache where something is missing (the chief does), and give the function that reads it.

        Args:
            model: the teacher.
            console: shows what is computed.
            distribution: the workers, which all wait for the features.

        Returns:
            epoch, ids (batch,) → (batch, 2, width) float16.

        Raises:
            ConfigError: the disk is too small, or the folder cannot be written.
            UserError: a worker does not see what the chief has begun to write.
            Interrupted: by Ctrl-C.
        """
        cache = self._cache(model.output_shape[-1])
        if distribution.chief:
            _writable(self.parent)
            write_about(cache.folder, self._about())
            self._fill(cache, model, console)
        elif not appears(cache.folder / ABOUT):
            raise UserError(
                f"{cache.folder.parent} does not show what worker 0 writes there: name a folder on a disk that all "
                "workers share with --feature_cache_dir."
            )
        while cache.missing:  # asleep in Python, where Ctrl-C is heard
            time.sleep(0.5)
        distribution.wait_for_all()
        return cache.lookup(self.data.train.ids)

    def _cache(self, width: int) -> FeatureCache:
        return FeatureCache(folder_of(self.parent, self._about()), self.data.train.num_examples, width, self.cycles)

    def _about(self) -> dict:
        """All that shapes a feature. Its hash names the cache's folder: a new name here makes every cache stale."""
        views = dataclasses.asdict(self.views)
        return {
            "teacher": self.teacher.fingerprint(),
            "teacher_pixels": self.teacher_pixels,
            "images": self.data.train.fingerprint,
            "image_size": self.data.image_size,
            "channels": self.data.channels,
            "views": {name: value for name, value in views.items() if not name.startswith("local_crop")},
            "view_seed": repeated_view_seed(self.seed),
            "precision": self.precision,
            "recipe": VIEWS_VERSION,
        }

    def _fill(self, cache: FeatureCache, model: tf.keras.Model, console: Console) -> None:
        missing = len(cache.missing)
        kept = f"teacher's features of {cache.cycles} epochs of views, {size_text(cache.total_bytes)} in {cache.folder}"
        if not missing:
            console.print(f"{kept}: there already", markup=False)
            return
        check_space(cache.folder, cache.missing_bytes, cache.cycles)
        console.print(f"{kept}: {missing} of {cache.cycles} to be computed", markup=False)
        if others := others_text(cache.folder):
            console.print(others, markup=False)

        def views_from(cycle: int, start: int) -> tf.data.Dataset:
            return views_in_order(
                self.data.train,
                image_size=self.data.image_size,
                channels=self.data.channels,
                views=self.views,
                seed=repeated_view_seed(self.seed),
                epoch=cycle,
                start=start,
            ).as_numpy_iterator()

        cache.fill(LocalFeatures(model).features, views_from, console)


def caches_folder(feature_cache_dir: str, teacher: TeacherFiles, workdir: Path) -> Path:
    """The folder of all caches: --feature_cache_dir, or that of the teacher: its run, an import; else the workdir."""
    if feature_cache_dir:
        return Path(feature_cache_dir)
    if not teacher.has_backbone:
        return Workdir(workdir).teacher_features
    of_a_run = teacher.path == Workdir(teacher.path.parent).teacher.path
    return Workdir(teacher.path.parent if of_a_run else teacher.path).teacher_features


def _writable(folder: Path) -> Path:
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
