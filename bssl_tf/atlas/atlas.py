"""All that one atlas is: photos, index, map, session, predictions; one object that any number of threads may ask."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from bssl_tf.atlas import belonging, exporting, finding, suggesting
from bssl_tf.atlas.database import check_room
from bssl_tf.atlas.jobs import FinetuneRunner
from bssl_tf.atlas.layout import Layout, open_layout, reduced
from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.atlas.predicting import Accuracy, LabelledPhotos, Predictions, labelled_photos, measure, predict
from bssl_tf.atlas.progress import READY, NotReady, Progress
from bssl_tf.atlas.store import SessionStore, Snapshot
from bssl_tf.atlas.thumbnails import ThumbnailCache
from bssl_tf.errors import UserError
from bssl_tf.search.photo_index import PhotoIndex

Value = TypeVar("Value")

LIST_LENGTH = 200


@dataclass(frozen=True)
class Settings:
    """Attributes:
    model: a .tflite file that gives features.
    photos: the folder of photos.
    session: folder for everything that is kept.
    workdir: of the run that the model came from; "": the model's folder, if it is one.
    """

    model: Path
    photos: Path
    session: Path
    workdir: str = ""


class _AtRevision:
    """What follows from a session at one revision; each part is computed when it is first asked for."""

    def __init__(self, session: Snapshot, numbers: Mapping[str, int], features: np.ndarray):
        self.session = session
        self.labelled = labelled_photos(session.labels, numbers, session.classes)
        self._features = features

    @cached_property
    def predictions(self) -> Predictions | None:
        return predict(self._features, self.labelled) if self.labelled.enough else None

    @cached_property
    def accuracy(self) -> Accuracy | None:
        return measure(self._features, self.labelled) if self.labelled.enough else None


class Atlas:
    """An atlas of one folder of photos. `prepare` comes first; the session can be used before it has ended."""

    def __init__(self, settings: Settings, progress: Progress):
        self.settings = settings
        self.progress = progress
        settings.session.mkdir(parents=True, exist_ok=True)
        check_room(settings.session)
        self.store = SessionStore(settings.session / belonging.FILE)
        self.thumbnails = ThumbnailCache(settings.session / "thumbnails.sqlite")
        self.jobs = FinetuneRunner(settings.session / "finetuning")
        self._lock = threading.RLock()
        self._exporting = threading.Lock()
        self._photos: PhotoFolder | None = None
        self._index: PhotoIndex | None = None
        self._layout: Layout | None = None
        self._newest: _AtRevision | None = None
        self._run: Path | None = None

    # Preparing

    def prepare(self) -> None:
        """Check files, compute features and map; what is there already is not computed again.

        Raises:
            UserError: as the parts do; `progress` shows it, too.
        """
        from bssl_tf.atlas.indexing import open_index
        from bssl_tf.atlas.taking_home import find_run

        settings = self.settings
        try:
            self.progress.show("checking files")
            self._photos = photos = PhotoFolder(settings.photos, settings.session)
            self._run = find_run(settings.model, settings.workdir)
            count = len(photos)
            self._index = index = open_index(
                settings.session,
                settings.model,
                photos,
                lambda done: self.progress.show("looking at photos", done, count),
            )
            self.progress.show("drawing the map", 0, 100)
            self._layout = open_layout(
                settings.session / "layout.npz",
                index.features,
                lambda share: self.progress.show("drawing the map", round(100 * share), 100),
            )
            self.progress.show(READY, count, count)
        except Exception as error:
            self.progress.fail(error)
            raise

    @property
    def run(self) -> Path | None:
        """The run whose student can be exported with a classifier."""
        return self._run

    @property
    def photos(self) -> PhotoFolder:
        return self._ready(self._photos)

    @property
    def index(self) -> PhotoIndex:
        return self._ready(self._index)

    @property
    def layout(self) -> Layout:
        return self._ready(self._layout)

    @cached_property
    def map_id(self) -> str:
        """Another one where numbers of photos or places on the map are others."""
        paths = "\0".join(self.photos.paths).encode("utf-8", "surrogateescape")
        return hashlib.sha256(paths + self.layout.positions.tobytes()).hexdigest()[:16]

    # Finding

    def similar_to(self, photo: int, measure: str, count: int) -> list[finding.Hit]:
        self.photos.file(photo)
        return finding.similar(self.index, self.index.features[photo], measure, count, without=photo)

    def similar_to_file(self, file: Path, measure: str, count: int) -> list[finding.Hit]:
        """Raises UserError for what is no image."""
        from bssl_tf.search.photo_index import features_of

        return finding.similar(self.index, features_of(self.settings.model, [file])[0], measure, count)

    @cached_property
    def near_duplicates(self) -> list[finding.Pair]:
        files = [self.photos.root / path for path in self.photos.paths]
        return finding.near_duplicates(self.layout, files, LIST_LENGTH)

    @cached_property
    def outliers(self) -> list[finding.Hit]:
        return finding.outliers(self.layout, LIST_LENGTH)

    # Labelling

    def paths_of(self, photos: list[int]) -> list[str]:
        """Raises UserError for a number that is none."""
        for photo in photos:
            if not 0 <= photo < len(self.photos):
                raise UserError(f"There is no photo {photo}.")
        return [self.photos.paths[photo] for photo in photos]

    def labelled(self) -> LabelledPhotos:
        with self._lock:
            return self._now().labelled

    def predictions(self) -> Predictions | None:
        """None until two classes have two labels each."""
        with self._lock:
            return self._now().predictions

    def accuracy(self) -> Accuracy | None:
        """None as long as too few labels are held out, or left to fit."""
        with self._lock:
            return self._now().accuracy

    def suggestions(self, count: int) -> tuple[list[int], str]:
        """Photos to label next, and the rule's name."""
        with self._lock:
            now = self._now()
            session, predictions = now.session, now.predictions
        probabilities = predictions.probabilities if predictions else None
        has_label, classes = self._with_label(session), max(1, len(session.classes))
        with threadpool_limits(1):
            chosen, rule = suggesting.suggested(
                self._standard, self._coarse, probabilities, has_label, classes, count, session.revision
            )
        return chosen.tolist(), rule

    def random_photos(self, count: int) -> list[int]:
        """Photos that have no label, each as likely as any other; the same ones until they are labelled."""
        order = np.random.default_rng(0).permutation(len(self.photos))
        has_label = set(self._with_label(self.store.snapshot()).tolist())
        return [int(photo) for photo in order if int(photo) not in has_label][:count]

    def _with_label(self, session: Snapshot) -> np.ndarray:
        numbers = self.photos.numbers
        return np.array([numbers[path] for path in session.labels if path in numbers], int)

    @cached_property
    def _standard(self) -> np.ndarray:
        features = self.index.features
        return (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)

    @cached_property
    def _coarse(self) -> np.ndarray:
        return reduced(self.index.features)

    # Taking home

    @property
    def exports(self) -> Path:
        return self.settings.session / "exports"

    def export_csv(self) -> Path:
        path, session = self.exports / "labels.csv", self.store.snapshot()
        with self._exporting:
            exporting.write_csv(path, session.labels, session.classes)
        return path

    def export_tree(self, form: str) -> tuple[Path, int]:
        folder = self.exports / "labels"
        with self._exporting:
            return folder, exporting.write_tree(folder, self.photos, self.labelled(), form)

    def export_classifier(self) -> dict[str, Any]:
        """Facts of the .tflite file that was written."""
        from bssl_tf.atlas.taking_home import export_linear

        run = self._require_run()
        with self._lock:
            now = self._now()
            predictions, accuracy = now.predictions, now.accuracy
        if predictions is None:
            raise UserError("A classifier needs two classes, each with two labelled photos or more.")
        output = self.exports / "classifier.tflite"
        with self._exporting:
            exported = export_linear(
                self.exports / "classifier",
                output,
                run,
                self.photos,
                predictions,
                accuracy,
            )
        return {"file": str(output), "bytes": output.stat().st_size, "parity": str(exported.parity)}

    def start_finetuning(self, steps: int, layers: str) -> None:
        """Raises UserError: no run, too few labels, or a job that is running."""
        from bssl_tf.atlas.finetuning import FinetuneJob

        run, labelled = self._require_run(), self.labelled()
        if not labelled.enough or len(set(labelled.classes[labelled.held_out])) < len(labelled.class_ids):
            raise UserError("Fine-tuning needs two classes, each with three labelled photos or more.")
        tree = self.settings.session / "finetuning" / "labels"
        job = FinetuneJob(str(run), str(tree), str(self.exports / "finetuned.tflite"), steps, layers)
        self.jobs.start(job, lambda: exporting.write_tree(tree, self.photos, labelled))

    def _require_run(self) -> Path:
        if self._run is None:
            raise UserError(
                "The network's weights are not at hand: start bssl-atlas with --workdir=PATH of the run that"
                f" {self.settings.model.name} came from."
            )
        return self._run

    # Inside

    def close(self) -> None:
        self.jobs.cancel()
        self.store.close()
        self.thumbnails.close()

    def _ready(self, part: Value | None) -> Value:
        if part is None:
            raise NotReady(f"The atlas is not ready: {self.progress.step.phase}.")
        return part

    def _now(self) -> _AtRevision:
        """Ask within the lock: others wait, rather than computing the same."""
        if self._newest is None or self._newest.session.revision != self.store.revision:
            self._newest = _AtRevision(self.store.snapshot(), self.photos.numbers, self.index.features)
        return self._newest
