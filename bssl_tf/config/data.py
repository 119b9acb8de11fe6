"""Settings of the images and of the views that networks see."""

import dataclasses
from dataclasses import dataclass

from bssl_tf.config.setting import MOST_COUNTED, setting


@dataclass(frozen=True)
class DataSettings:
    dataset: str = setting(
        "digits",
        "Images to learn from: digits (8×8, shipped with scikit-learn), tfds:NAME[/CONFIG], or folder:PATH "
        "(nested folders; labels are optional).",
    )
    data_dir: str = setting("", "Where TFDS keeps prepared data sets (its own default if empty).", changes_result=False)
    train_split: str = setting("train", "TFDS split to train on.")
    test_split: str = setting("test", "TFDS split to evaluate on.", changes_result=False)
    holdout: float = setting(
        0.1,
        "Share of a folder's images kept for evaluation where the folder has no train/ and test/ (or val/) of its own.",
        low=0.001,
        high=0.9,
    )
    image_size: int = setting(
        0, "Height and width the networks see, in pixels; 0: the data set's own size, 224 for photos.", low=0, high=2048
    )
    channels: int = setting(0, "1 (grey) or 3 (RGB); 0: as the data set has them.", choices=(0, 1, 3))
    max_train_images: int = setting(0, "Use only the first so many training images; 0: all.", low=0, high=MOST_COUNTED)
    max_test_images: int = setting(
        0, "Use only the first so many test images; 0: all.", low=0, high=MOST_COUNTED, changes_result=False
    )
    decoded_cache_mb: int = setting(
        2048,
        "Keep the training images decoded in memory if they take at most so many MiB (up to three times that while "
        "they are being decoded), of tfds: the test images, too; 0: never. So, by themselves, those of the online "
        "20-NN accuracy. A limit that images of tfds of one size no longer fit gives them another order.",
        low=0,
        high=MOST_COUNTED,
        changes_result=False,
    )


@dataclass(frozen=True)
class ViewSettings:
    crop_min: float = setting(0.2, "Smallest random crop, as a share of the image's area.", low=0.01, high=1.0)
    crop_max: float = setting(1.0, "Largest random crop, as a share of the image's area.", low=0.01, high=1.0)
    flip: bool = setting(True, "Mirror half of the views.")
    jitter_probability: float = setting(0.6, "Share of views with colour jitter.", low=0.0, high=1.0)
    brightness: float = setting(0.4, "Colour jitter: brightness factor in 1 ± this.", low=0.0, high=1.0)
    contrast: float = setting(0.4, "Colour jitter: contrast factor in 1 ± this.", low=0.0, high=1.0)
    saturation: float = setting(0.4, "Colour jitter: saturation factor in 1 ± this.", low=0.0, high=1.0)
    hue: float = setting(0.1, "Colour jitter: hue shift in ± this part of the circle.", low=0.0, high=0.5)
    grey_probability: float = setting(0.2, "Share of views turned grey.", low=0.0, high=1.0)
    blur_probability: float = setting(
        0.2,
        "Share of views with Gaussian blur. None is blurred where the largest blur is below 0.3 pixels, which nobody "
        "would see: with the usual --blur_sigma at an --image_size of at most 33.",
        low=0.0,
        high=1.0,
    )
    blur_sigma: float = setting(
        2.0, "Largest blur, as σ in pixels of a 224-pixel image; scaled with --image_size.", low=0.1, high=100.0
    )
    local_crops: int = setting(
        0, "Local crops of each image beside the two large ones (multi-crop); for swav.", low=0, high=64
    )
    local_crop_size: int = setting(
        0, "Height and width of the local crops; 0: 3/7 of --image_size, as 96 is of 224.", low=0, high=2048
    )
    local_crop_max: float = setting(
        0.14, "Largest local crop, as a share of the image's area; the smallest is 0.05.", low=0.05, high=1.0
    )

    def without_colours(self) -> "ViewSettings":
        """Crops and flips only, for training with labels."""
        return dataclasses.replace(self, jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)
