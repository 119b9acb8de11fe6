"""From settings to images: which `Source` a ``--dataset`` means, and in which size and colours to use it."""

from pathlib import Path

from bssl_tf.config.training import DataSettings
from bssl_tf.data.sources import digits, folder
from bssl_tf.data.sources.base import DataError, Source
from bssl_tf.errors import ConfigError

_LARGEST_NATIVE_SIZE = 64
_PHOTO_SIZE = 224


def load_source(settings: DataSettings, split: str, cache_dir: Path | None = None) -> Source:
    """The images that the settings name.

    Args:
        settings: data set, split names, limits.
        split: "train" or "test"; each stands for the split that the settings choose for it.
        cache_dir: where a folder's checked files are remembered; None: nowhere.

    Raises:
        DataError: the data set is unknown, missing, or has nothing to read.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, not {split!r}.")
    max_images = settings.max_train_images if split == "train" else settings.max_test_images
    kind, _, rest = settings.dataset.partition(":")
    if settings.dataset == "digits":
        return digits.load(split, max_images)
    if kind == "folder" and rest:
        root = Path(rest).expanduser()
        return folder.load(root, split, holdout=settings.holdout, max_images=max_images, cache_dir=cache_dir)
    if kind == "tfds" and rest:
        from bssl_tf.data.sources import tfds  # takes seconds to import, which other data sets can do without

        return tfds.load(
            rest,
            settings.train_split if split == "train" else settings.test_split,
            data_dir=settings.data_dir,
            max_images=max_images,
            flag=f"--{split}_split",
            in_memory_bytes=settings.decoded_cache_mb * 2**20,
        )
    raise DataError(
        f"--dataset={settings.dataset} is unknown. Known are digits, tfds:NAME[/CONFIG] (tfds:fashion_mnist, "
        "say) and folder:PATH."
    )


def check_is_outside(settings: DataSettings, written: Path, flag: str) -> None:
    """A folder that is written to must not lie among the photos: its plots would be taken for some.

    Args:
        settings: the data set.
        written: the folder.
        flag: that names it.

    Raises:
        ConfigError: it does; says what to do.
    """
    kind, _, rest = settings.dataset.partition(":")
    if kind != "folder" or not rest:
        return
    for photos in folder.scanned_folders(Path(rest).expanduser()):
        if written.resolve().is_relative_to(photos.resolve()):
            raise ConfigError(
                f"{flag}={written} lies among the photos of --dataset={settings.dataset}, and the plots in it would be "
                f"taken for photos. Name a folder outside {photos}; what is there already can be moved."
            )


def resolve_image(settings: DataSettings, source: Source) -> tuple[int, int]:
    """Image size and channels to use, with 0 (as the data set has them) replaced.

    The size of its own that a data set has is that of square images of at most 64 pixels; all others
    count as photos, of 224 pixels.

    Raises:
        DataError: the images have neither one nor three channels.
    """
    height, width, own_channels = source.image_shape
    if own_channels not in (1, 3):
        raise DataError(
            f"--dataset={settings.dataset} has images of {own_channels} channels; this program reads "
            "grey (1) and RGB (3). Choose another data set."
        )
    own_size = _PHOTO_SIZE
    if height is not None and height == width and height <= _LARGEST_NATIVE_SIZE:
        own_size = height
    return settings.image_size or own_size, settings.channels or own_channels
