"""The images of a run, and the networks that fit them."""

import dataclasses
from typing import Any

import tensorflow as tf

from bssl_tf.config.data import DataSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.data import Source, evaluation_images, pixel_statistics, resolve_image
from bssl_tf.models import FLOAT, BackboneSpec


@dataclasses.dataclass(frozen=True)
class ImageForm:
    """How the networks see images."""

    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def spec(self, **architecture: Any) -> BackboneSpec:
        """A backbone for such images."""
        return BackboneSpec(
            image_size=self.image_size, channels=self.channels, mean=self.mean, std=self.std, **architecture
        )


@dataclasses.dataclass(frozen=True)
class RunData(ImageForm):
    """The data of a run, opened once for all of its phases."""

    train: Source
    test: Source

    @classmethod
    def open(cls, settings: DataSettings, train: Source, test: Source) -> "RunData":
        image_size, channels = resolve_image(settings, train)
        mean, std = pixel_statistics(train, image_size=image_size, channels=channels)
        return cls(image_size, channels, mean, std, train, test)

    @property
    def num_classes(self) -> int | None:
        """None without labels."""
        return None if self.train.class_names is None else len(self.train.class_names)

    def images(self, source: Source, every: int = 1) -> tf.data.Dataset:
        """Batches of uint8 images in fixed order, or of each so-many-th of them."""
        return evaluation_images(source, image_size=self.image_size, channels=self.channels, every=every)


def teacher_spec(data: ImageForm, teacher: TeacherSettings) -> BackboneSpec:
    return data.spec(
        name=teacher.teacher,
        width=teacher.teacher_width,
        depth=teacher.teacher_depth,
        stages=teacher.teacher_stages,
        mode=FLOAT,
    )


def student_spec(data: ImageForm, student: StudentSettings, mode: str) -> BackboneSpec:
    return data.spec(
        name=student.student,
        width=student.student_width,
        depth=student.student_depth,
        stages=student.student_stages,
        dense=student.student_dense,
        mode=mode,
        quantizer=student.quantizer,
    )
