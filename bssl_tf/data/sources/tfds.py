"""Any image data set that TensorFlow Datasets has prepared on this machine.

Small images of one size are decoded into memory once. Everything else streams: encoded images pass
through a shuffle buffer, and only those that a step needs are decoded.
"""

import difflib
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from bssl_tf.data.augmentation.randomness import ORDER, epoch_key, key_to_seed
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.base import DataError, MultiLabels, Source
from bssl_tf.data.sources.jpeg import decode_jpeg

IN_MEMORY_BYTES = 4 * 2**30
_BUFFER_BYTES = 2**30
_BUFFER_IMAGES = 50_000
_BATCH = 1024


def load(
    name: str,
    split: str,
    *,
    data_dir: str = "",
    max_images: int = 0,
    flag: str = "--train_split",
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> Source:
    """A split of a prepared TFDS data set; nothing is downloaded.

    Args:
        name: NAME or NAME/CONFIG, with an optional :VERSION.
        split: split, or part of one ("train[:10%]").
        data_dir: where prepared data sets are kept; TFDS's own default if empty.
        max_images: only the first so many; 0: all.
        flag: flag that ``split`` came from, for messages.
        in_memory_bytes: decoded images of one size are kept in memory up to this total.

    Raises:
        DataError: unknown name or split, data set not prepared, or no 8-bit images in it.
    """
    builder = _prepared_builder(name, data_dir)
    try:
        available = builder.info.splits[split].num_examples
    except (KeyError, ValueError, NotImplementedError):  # the last of a part of "all"
        raise DataError(
            f"{flag}={split} is not a split of tfds:{name}, which has {', '.join(builder.info.splits)}."
        ) from None
    if not available:
        raise DataError(f"{flag}={split} of tfds:{name} has no images.")
    image = _feature(builder, "image")
    if not isinstance(image, tfds.features.Image) or image.np_dtype != np.uint8:
        raise DataError(
            f"--dataset=tfds:{name} has no feature 'image' of 8-bit pixels, which is what this program "
            f"learns from; its features are {', '.join(builder.info.features)}. Choose another data set."
        )
    source = StreamingSource(builder, split, min(available, max_images or available))
    height, width, channels = image.shape
    if height is None or width is None or source.num_examples * height * width * channels > in_memory_bytes:
        return source
    return source.in_memory()


class StreamingSource(Source):
    """Reads encoded images from disk, epoch after epoch.

    Args:
        builder: builder of a prepared data set.
        split: split, or part of one.
        num_examples: use the first so many images.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, num_examples: int) -> None:
        self._builder = builder
        self._split = split
        self._image = builder.info.features["image"]
        self.name = f"tfds:{builder.info.full_name} {split}"
        self.num_examples = num_examples
        self.image_shape = tuple(self._image.shape)
        label = _feature(builder, "label")
        self.class_names = list(label.names) if isinstance(label, tfds.features.ClassLabel) else None

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Read on first use, without decoding images."""
        if self.class_names is None:
            return None
        batches = self._read({"label": True}).batch(_BATCH).as_numpy_iterator()
        return _labels_or_none(np.concatenate([batch["label"] for batch in batches]))

    @cached_property
    def multi_labels(self) -> MultiLabels | None:  # type: ignore[override]  # read on first use
        """Read on first use, without decoding images: of a feature ``labels``, as VOC has it.

        Classes whose only objects are difficult (``labels_no_difficult`` lacks them) do not count, as in VOC's scores.
        """
        labels = _feature(self._builder, "labels")
        feature = getattr(labels, "feature", None)
        if self.class_names is not None or not isinstance(feature, tfds.features.ClassLabel):
            return None
        certain = "labels_no_difficult" if _feature(self._builder, "labels_no_difficult") is not None else "labels"
        values = np.zeros((self.num_examples, feature.num_classes), np.int8)
        for row, example in zip(values, self._read({"labels": True, certain: True}).as_numpy_iterator(), strict=True):
            row[example["labels"]] = -1
            row[example[certain]] = 1
        return MultiLabels(values, tuple(feature.names))

    @cached_property
    def ids(self) -> np.ndarray:
        """Read on first use, without decoding images."""
        batches = self.examples().map(lambda example: example["id"]).batch(_BATCH).as_numpy_iterator()
        return np.concatenate(list(batches))

    @property
    def fingerprint(self) -> str:
        """Of the name, with its version, and of the sizes of the files: a prepared data set does not change."""
        infos = self._builder.info.splits.values()
        sizes = {info.name: (list(info.shard_lengths), info.num_bytes) for info in infos}
        return f"{self.name} {self.num_examples} {sizes}"

    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        shuffle_seed = None if epoch is None else key_to_seed(epoch_key(seed, epoch, ORDER))
        dataset = self._read({"image": True}, {"image": tfds.decode.SkipDecoding()}, shuffle_seed)
        return dataset.map(
            lambda example: dict(
                id=tf.strings.to_hash_bucket_fast(example["tfds_id"], 2**63 - 1), record=example["image"]
            )
        )

    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        height, width, channels = self.image_shape
        image = tf.cond(
            tf.io.is_jpeg(record),
            lambda: decode_jpeg(record, channels, short_side),
            lambda: self._image.decode_example(record),
        )
        is_whole = short_side is None or height is None or width is None or min(height, width) < 2 * short_side
        return tf.ensure_shape(image, self.image_shape if is_whole else (None, None, channels))

    def in_memory(self) -> ArraySource:
        """The same images in the same fixed order, all decoded; for images of one size."""
        has_labels = self.class_names is not None
        height, width, channels = self.image_shape
        if height is None or width is None:
            raise ValueError(f"{self.name} has images of several sizes: they cannot be one array.")
        images = np.empty((self.num_examples, height, width, channels), np.uint8)
        labels = np.empty(self.num_examples, np.int64)
        decoded = self._read({"image": True, **({"label": True} if has_labels else {})})
        for number, batch in enumerate(decoded.batch(_BATCH).as_numpy_iterator()):
            rows = slice(number * _BATCH, number * _BATCH + len(batch["image"]))
            images[rows] = batch["image"]
            if has_labels:
                labels[rows] = batch["label"]
        class_ids = _labels_or_none(labels) if has_labels else None
        source = ArraySource(self.name, images, class_ids, self.class_names)
        source.multi_labels = self.multi_labels
        return source

    def _read(
        self, features: dict, decoders: dict | None = None, shuffle_seed: int | tf.Tensor | None = None
    ) -> tf.data.Dataset:
        """The requested features and ``tfds_id`` of each example; in the fixed order without a seed.

        Whole files are shuffled only where all of them are read: the first ``num_examples`` images
        must be the same ones in every epoch.
        """
        is_all = self.num_examples == self._builder.info.splits[self._split].num_examples
        dataset = self._builder.as_dataset(
            split=self._split,
            decoders=tfds.decode.PartialDecoding(features, decoders=decoders),
            shuffle_files=shuffle_seed is not None and is_all and not self._builder.info.disable_shuffling,
            read_config=tfds.ReadConfig(
                add_tfds_id=True,
                try_autocache=False,
                skip_prefetch=True,
                shuffle_seed=shuffle_seed,
                shuffle_reshuffle_each_iteration=False,
            ),
        )
        dataset = dataset.take(self.num_examples)
        if shuffle_seed is None:
            return dataset
        return dataset.shuffle(self._buffer_images(), seed=shuffle_seed, reshuffle_each_iteration=False)

    def _buffer_images(self) -> int:
        splits = self._builder.info.splits.values()
        total_bytes, total_images = sum(s.num_bytes for s in splits), sum(s.num_examples for s in splits)
        fitting = _BUFFER_BYTES * total_images // max(1, total_bytes)
        return int(np.clip(fitting, 1, min(_BUFFER_IMAGES, self.num_examples)))


def stored_features(
    builder: tfds.core.DatasetBuilder, split: str, num_examples: int, features: dict, decoders: dict | None = None
) -> tf.data.Dataset:
    """Other features of the images that `load` gives, in the same fixed order; ``tfds_id`` besides.

    Args:
        builder: of the prepared data set.
        split: as for `load`.
        num_examples: of the source that `load` gave.
        features: names of the features, as `tfds.decode.PartialDecoding` takes them.
        decoders: of these features, where not the usual ones.
    """
    return StreamingSource(builder, split, num_examples)._read(features, decoders)


def _labels_or_none(labels: np.ndarray) -> np.ndarray | None:
    """TFDS marks images without a label by -1, as in some test splits."""
    return labels.astype(np.int64) if labels.min() >= 0 else None


def _feature(builder: tfds.core.DatasetBuilder, name: str) -> Any:
    features = builder.info.features
    return features[name] if name in features else None  # noqa: SIM401 – it has no get()


def _prepared_builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError:
        close = difflib.get_close_matches(name.split("/")[0].split(":")[0], tfds.list_builders(), n=3)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise DataError(
            f"--dataset=tfds:{name} is not a data set that TensorFlow Datasets knows.{hint} "
            "See its catalogue for names, or use images of your own: --dataset=folder:PATH."
        ) from None
    except (ValueError, AssertionError) as error:
        raise DataError(f"--dataset=tfds:{name} cannot be opened: {error}") from None
    if not builder.info.splits:
        where = f", data_dir={data_dir!r}" if data_dir else ""
        raise DataError(
            f"--dataset=tfds:{name} is not prepared in {builder.data_path}. Prepare it with\n"
            f'    python -c "import tensorflow_datasets as tfds; tfds.load({name!r}{where})"\n'
            f"or say with --data_dir where it is (--data_dir={data_dir or 'TFDS default'} now)."
            + _PREPARE_OFFLINE.get(builder.name, "")
        )
    return builder


_PREPARE_OFFLINE = {
    "fashion_mnist": (
        "\nFrom the four files of the data set, without a network:\n"
        "    python -m bssl_tf.data.sources.prepare_fashion_mnist --source=FOLDER --data_dir=DIR"
    )
}
