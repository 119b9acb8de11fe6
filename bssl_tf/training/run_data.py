"""The images of a run, and the networks that fit them."""

import dataclasses

import tensorflow as tf

from bssl_tf.config.data import DataSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.data import Source, evaluation_images, pixel_statistics, resolve_image
from bssl_tf.models import FLOAT, BackboneSpec


@dataclasses.dataclass(frozen=True)
class RunData:
    """The data of a run, opened once for all of its phases."""

    train: Source
    test: Source
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def open(cls, settings: DataSettings, train: Source, test: Source) -> "RunData":
        image_size, channels = resolve_image(settings, train)
        mean, std = pixel_statistics(train, image_size=image_size, channels=channels)
        return cls(train, test, image_size, channels, mean, std)

    @property
    def num_classes(self) -> int | None:
        """None without labels."""
        return self.train.class_names and len(self.train.class_names)

    def spec(self, **architecture) -> BackboneSpec:
        """A backbone for these images."""
        return BackboneSpec(
            image_size=self.image_size, channels=self.channels, mean=self.mean, std=self.std, **architecture
        )

    def images(self, source: Source, every: int = 1) -> tf.data.Dataset:
        """Batches of uint8 images in fixed order, or of each so-many-th of them."""
        return evaluation_images(source, image_size=self.image_size, channels=self.channels, every=every)


def teacher_spec(data: RunData, teacher: TeacherSettings) -> BackboneSpec:
    return data.spec(
        name=teacher.teacher,
        width=teacher.teacher_width,
        depth=teacher.teacher_depth,
        stages=teacher.teacher_stages,
        mode=FLOAT,
    )


def student_spec(data: RunData, student: StudentSettings, mode: str) -> BackboneSpec:
    return data.spec(
        name=student.student,
        width=student.student_width,
        depth=student.student_depth,
        stages=student.student_stages,
        dense=student.student_dense,
        mode=mode,
        quantizer=student.quantizer,
    )
