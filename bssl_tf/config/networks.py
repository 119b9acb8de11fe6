"""Settings of the student and of the teacher."""

from dataclasses import dataclass

from bssl_tf.config.setting import setting
from bssl_tf.models.choices import QUANTIZERS, STUDENTS, TEACHERS


@dataclass(frozen=True)
class StudentSettings:
    student: str = setting("reactnet_small", "Binary network to train.", choices=STUDENTS)
    student_width: int = setting(
        32,
        "reactnet_small: channels of the stem; every stage doubles them. Multiples of 32 suit LCE.",
        low=8,
        high=4096,
    )
    student_depth: int = setting(1, "reactnet_small: blocks in each stage.", low=1, high=64)
    student_stages: int = setting(
        3, "reactnet_small: stages, each of twice the channels of the one before.", low=1, high=8
    )
    student_dense: int = setting(
        0,
        "Width of a dense layer with ReLU that ends the backbone; 0: none. The paper has 1024 on ReActNet-A.",
        low=0,
        high=65536,
    )
    quantizer: str = setting(
        "ste_sign",
        "Larq quantizer of activations and kernels. approx_sign and swish_sign are for activations, "
        "magnitude_aware_sign is for kernels: the others get ste_sign then.",
        choices=QUANTIZERS,
    )


@dataclass(frozen=True)
class TeacherSettings:
    teacher: str = setting(
        "resnet_small",
        f"Frozen float feature extractor: one of {', '.join(TEACHERS)}, pretrained here (--teacher_method); or "
        "the workdir of an earlier run; or a folder that bssl_tf.cli.import_teacher wrote; or a saved Keras model that "
        "gives a feature vector.",
    )
    teacher_width: int = setting(32, "resnet_small: channels of the stem; every stage doubles them.", low=8, high=4096)
    teacher_depth: int = setting(1, "resnet_small: blocks in each stage.", low=1, high=64)
    teacher_stages: int = setting(3, "resnet_small: stages.", low=1, high=8)
    teacher_pixels: str = setting(
        "0..255",
        "Pixel range that a saved Keras model given as --teacher expects: 0..255, 0..1, -1..1, imagenet "
        "(mean and standard deviation of ImageNet, as PyTorch models have it), swav (almost the same) or caffe (BGR "
        "without the mean, as ResNet50 and VGG of Keras Applications).",
        choices=("0..255", "0..1", "-1..1", "imagenet", "swav", "caffe"),
    )
    trust_teacher: bool = setting(
        False,
        "Let a saved Keras model given as --teacher run code of its own, with all rights of the user who runs this "
        "command: needed for a SavedModel, which is a program, and for .h5 and .keras files with layers other than "
        "Keras's, Larq's and this package's. Give it only for files of people whose programs you would run.",
        changes_result=False,
    )
