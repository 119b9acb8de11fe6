"""Which images an evaluation measures on: those of --dataset, and those of --transfer."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bssl_tf.config.training import DataSettings
from bssl_tf.errors import UserError

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
    """

    settings: DataSettings
    flag: str = "--dataset"

    @property
    def name(self) -> str:
        """Short, for tables."""
        return self.settings.dataset.removeprefix("tfds:").removeprefix("folder:")

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
    """The data sets of an evaluation, each name once.

    Args:
        data: the first one.
        transfer: more of them. Where one lies and how many of its images count is as in `data`, unless it comes with
            settings of its own; the rest is as by default.
    """
    limits = {name: getattr(data, name) for name in ("data_dir", "max_train_images", "max_test_images")}
    others = [each if isinstance(each, DataSettings) else DataSettings(dataset=each, **limits) for each in transfer]
    found = [DataSet(data), *(DataSet(other, "--transfer") for other in others)]
    return list({each.name: each for each in reversed(found)}.values())[::-1]
