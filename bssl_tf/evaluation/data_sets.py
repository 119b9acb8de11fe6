"""Which images an evaluation measures on: those of --dataset, and those of --transfer."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bssl_tf.config.training import DataSettings
from bssl_tf.config.without_effect import data_without_effect
from bssl_tf.errors import ConfigError, UserError

if TYPE_CHECKING:
    from bssl_tf.data import Source

_UNCHANGING = ("digits", "tfds")
"""Kinds of data sets whose names say which images they hold."""


@dataclass(frozen=True)
class DataSet:
    """Images to measure on, not opened yet.

    Attributes:
        settings: which images.
        flag: the flag that named them, for messages.
        in_full: the name keeps its kind, since without it the name is that of another data set beside this one.
    """

    settings: DataSettings
    flag: str = "--dataset"
    in_full: bool = False

    @property
    def name(self) -> str:
        """Short, for tables."""
        name = self.settings.dataset
        return name if self.in_full else name.removeprefix("tfds:").removeprefix("folder:")

    def sources(self, workdir: Path | None) -> tuple["Source", "Source"]:
        """Training and test images.

        Args:
            workdir: where a folder's checked files are remembered.

        Raises:
            UserError: they cannot be opened.
        """
        from bssl_tf.data import load_source

        with self.naming_its_flag():
            train, test = (load_source(self.settings, split, workdir) for split in ("train", "test"))
        return train, test

    def identity(self, workdir: Path | None) -> dict[str, Any]:
        """What says which images are meant; where the images may change under their name, their fingerprints too."""
        identity = dataclasses.asdict(self.settings)
        for name in ("data_dir", "decoded_cache_mb"):
            del identity[name]
        if self.settings.dataset.partition(":")[0] not in _UNCHANGING:
            sources = self.sources(workdir)
            identity["images"] = [source.fingerprint for source in sources]
            if any(source.multi_labels for source in sources):
                identity["labels"] = [source.multi_labels and source.multi_labels.fingerprint for source in sources]
        return identity

    @contextlib.contextmanager
    def naming_its_flag(self) -> Iterator[None]:
        """Errors about the data, which name --dataset, name the flag that the user gave."""
        try:
            yield
        except UserError as error:
            if self.flag == "--dataset":
                raise
            raise type(error)(str(error).replace("--dataset", self.flag)) from error


def data_sets(data: DataSettings, transfer: Sequence[str | DataSettings] = ()) -> list[DataSet]:
    """The data sets of an evaluation, each once and under a name of its own.

    Args:
        data: the first one.
        transfer: more of them. Where one lies and how many of its images count is as in `data`, unless it comes with
            settings of its own; the rest is as by default.

    Raises:
        ConfigError: one is there twice, with settings that make other images of it.
    """
    limits = {name: getattr(data, name) for name in ("data_dir", "max_train_images", "max_test_images")}
    others = [each if isinstance(each, DataSettings) else DataSettings(dataset=each, **limits) for each in transfer]
    found = [DataSet(data), *(DataSet(other, "--transfer") for other in others)]
    chosen: list[DataSet] = []
    for each in found:
        namesakes = [other for other in chosen if other.settings.dataset == each.settings.dataset]
        if not namesakes:
            chosen.append(each)
        elif different := _differing(namesakes[0].settings, each.settings):
            raise ConfigError(
                f"{each.flag}={each.settings.dataset} is there already, with another {different}: under one name the "
                f"two cannot stand side by side. Leave it out of {each.flag}, or evaluate it with another --output."
            )
    names = Counter(each.name for each in chosen)
    return [dataclasses.replace(each, in_full=names[each.name] > 1) for each in chosen]


def _differing(one: DataSettings, other: DataSettings) -> str:
    """The first setting that makes other images of a data set, as a flag; empty if there is none."""
    idle = {*data_without_effect(one), "data_dir", "image_size", "channels", "decoded_cache_mb"}
    names = [field.name for field in dataclasses.fields(one) if field.name not in idle]
    return next((f"--{name}" for name in names if getattr(one, name) != getattr(other, name)), "")
