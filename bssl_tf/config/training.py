"""Every setting of a training run, in groups: name, default, help and limits in one place.

A setting is a dataclass field: its name is the flag's name, its type the flag's type, its help the flag's help.
`bssl_tf.config.flags` makes flags of them, checks them and saves them.
"""

import dataclasses
from dataclasses import dataclass

from bssl_tf.methods.registry import method_names, teacher_method_names
from bssl_tf.models.choices import QUANTIZERS, STUDENTS, TEACHERS

OPTIMIZERS = ("adam", "adamw", "sgd", "lars")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def setting(default, help, *, choices=None, low=None, high=None, changes_result=True):
    """A dataclass field that is also a flag.

    Args:
        default: default value; its type is the flag's type.
        help: one sentence, shown by ``--help``.
        choices: the allowed values, where there are few.
        low: smallest allowed value.
        high: largest allowed value.
        changes_result: whether a run resumed with another value would give another result.
    """
    return dataclasses.field(
        default=default,
        metadata=dict(help=help, choices=choices, low=low, high=high, changes_result=changes_result),
    )


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
        0, "Height and width the networks see, in pixels; 0: the data set's own size, 224 for photos.", low=0
    )
    channels: int = setting(0, "1 (grey) or 3 (RGB); 0: as the data set has them.", choices=(0, 1, 3))
    max_train_images: int = setting(0, "Use only the first so many training images; 0: all.", low=0)
    max_test_images: int = setting(0, "Use only the first so many test images; 0: all.", low=0, changes_result=False)
    decoded_cache_mb: int = setting(
        2048,
        "Keep the training images decoded in memory if they take at most so many MiB (up to three times that while "
        "they are being decoded); 0: never.",
        low=0,
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
    blur_probability: float = setting(0.2, "Share of views with Gaussian blur.", low=0.0, high=1.0)
    blur_sigma: float = setting(
        2.0, "Largest blur, as σ in pixels of a 224-pixel image; scaled with --image_size.", low=0.1
    )
    local_crops: int = setting(0, "Local crops of each image beside the two large ones (multi-crop); for swav.", low=0)
    local_crop_size: int = setting(
        0, "Height and width of the local crops; 0: 3/7 of --image_size, as 96 is of 224.", low=0
    )
    local_crop_max: float = setting(
        0.14, "Largest local crop, as a share of the image's area; the smallest is 0.05.", low=0.05, high=1.0
    )

    def without_colours(self) -> "ViewSettings":
        """Crops and flips only, for training with labels."""
        return dataclasses.replace(self, jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)


@dataclass(frozen=True)
class StudentSettings:
    student: str = setting("reactnet_small", "Binary network to train.", choices=STUDENTS)
    student_width: int = setting(
        32, "reactnet_small: channels of the stem; every stage doubles them. Multiples of 32 suit LCE.", low=8
    )
    student_depth: int = setting(1, "reactnet_small: blocks in each stage.", low=1)
    student_stages: int = setting(3, "reactnet_small: stages, each of twice the channels of the one before.", low=1)
    student_dense: int = setting(
        0, "Width of a dense layer with ReLU that ends the backbone; 0: none. The paper has 1024 on ReActNet-A.", low=0
    )
    quantizer: str = setting("ste_sign", "Larq quantizer of activations and weights.", choices=QUANTIZERS)


@dataclass(frozen=True)
class TeacherSettings:
    teacher: str = setting(
        "resnet_small",
        f"Frozen float feature extractor: one of {', '.join(TEACHERS)}, pretrained here (--teacher_method); or "
        "the workdir of an earlier run; or a folder that bssl_tf.cli.import_teacher wrote; or a saved Keras model that "
        "gives a feature vector.",
    )
    teacher_width: int = setting(32, "resnet_small: channels of the stem; every stage doubles them.", low=8)
    teacher_depth: int = setting(1, "resnet_small: blocks in each stage.", low=1)
    teacher_stages: int = setting(3, "resnet_small: stages.", low=1)
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


@dataclass(frozen=True)
class PretrainingSettings:
    teacher_method: str = setting("simclr", "How a teacher is pretrained here.", choices=teacher_method_names())
    teacher_method_options: str = setting(
        "", "Options of --teacher_method, as in --method_options, for instance temperature=0.1,projection_size=256."
    )
    teacher_epochs: int = setting(100, "Epochs of the teacher's pretraining.", low=1)
    teacher_batch_size: int = setting(256, "Images (two views each) in a teacher's step.", low=2)
    teacher_optimizer: str = setting("adam", "Optimizer of the teacher.", choices=OPTIMIZERS)
    teacher_learning_rate: float = setting(1e-3, "Peak learning rate of the teacher; falls to 0 as a cosine.", low=0.0)
    teacher_weight_decay: float = setting(0.0, "Weight decay of the teacher's kernels (not with adam).", low=0.0)
    teacher_warmup_epochs: int = setting(5, "Epochs of linear warm-up of the teacher's learning rate.", low=0)


@dataclass(frozen=True)
class MethodSettings:
    method: str = setting("bssl", "How the student learns.", choices=method_names())
    method_options: str = setting(
        "",
        "Options of --method other than bssl, as NAME=VALUE,NAME=VALUE; `python -m bssl_tf.methods` lists them.",
    )
    stages: str = setting(
        "auto",
        "Which stages to run: 1 (binary activations, float weights), 2 (fully binary), 1,2, or auto: both, but for "
        "--ablation rows of a single stage.",
        choices=("auto", "1", "2", "1,2"),
    )


@dataclass(frozen=True)
class BsslSettings:
    ablation: str = setting(
        "full",
        "Row of the paper's ablation. joint: ① KL alone; similarity: ①+② with a constant balance; balancing: ①+②+③; "
        "all three in a single stage; full: ①+②+③+④, two stages.",
        choices=("joint", "similarity", "balancing", "full"),
    )
    similarity: str = setting("features", "What the feature similarity loss compares.", choices=("features", "logits"))
    balance: str = setting(
        "auto",
        "Weight λ of the similarity loss over the steps of a stage: cosine, constant, or auto: as --ablation says.",
        choices=("auto", "cosine", "constant"),
    )
    balance_start: float = setting(0.9, "λ at the first step; the λ of a constant balance.", low=0.0, high=1.0)
    balance_end: float = setting(0.7, "λ at the last step.", low=0.0, high=1.0)
    temperature: float = setting(0.2, "Softmax temperature T of the KL loss.", low=1e-3)
    pseudo_classes: int = setting(2000, "K: outputs and hidden units of both classifiers.", low=2)
    views: str = setting(
        "swapped", "Views that student and target see: the same one, or each other's.", choices=("swapped", "same")
    )
    train_target: bool = setting(True, "Train the target's classifier g_θ with the student; off: it stays random.")
    target_learning_rate_multiplier: float = setting(1.0, "Learning rate of g_θ relative to the student's.", low=0.0)

    @property
    def balance_ends(self) -> tuple[float, float]:
        """(λ_0, λ_T): equal where λ is constant, both 0 where there is no similarity loss."""
        if self.ablation == "joint":
            return 0.0, 0.0
        constant = self.balance == "constant" or (self.balance == "auto" and self.ablation == "similarity")
        return self.balance_start, self.balance_start if constant else self.balance_end


@dataclass(frozen=True)
class OptimizerSettings:
    epochs: int = setting(100, "Epochs of each stage.", low=1)
    batch_size: int = setting(256, "Images (two views each) in a step.", low=2)
    micro_batches: int = setting(
        1,
        "Parts in which a step's batch is computed, one after another (gradient accumulation): the memory of one part. "
        "All but batch norm, which sees the parts, is as if the batch were whole. Of the student; for the teacher, "
        "whose loss compares all images of a batch, lower --teacher_batch_size.",
        low=1,
    )
    optimizer: str = setting(
        "adam", "Optimizer of the student and its target. adamw and lars suit large batches.", choices=OPTIMIZERS
    )
    learning_rate: float = setting(1e-3, "Peak learning rate; falls to 0 as a cosine.", low=0.0)
    weight_decay: float = setting(
        0.0, "Weight decay of kernels, not of biases and batch norms (not with adam). The paper has none.", low=0.0
    )
    momentum: float = setting(0.9, "Momentum of sgd and lars, the teacher's too.", low=0.0, high=1.0)
    warmup_epochs: int = setting(5, "Epochs of linear warm-up of the learning rate.", low=0)


@dataclass(frozen=True)
class FeatureCacheSettings:
    view_cycle: int = setting(
        0,
        "Epochs after which a student's views repeat, in both stages; the teacher's features are then computed once "
        "and kept on disk. 0: new views at every epoch. What it costs in accuracy: docs/results.md.",
        low=0,
    )
    feature_cache: bool = setting(
        True,
        "With --view_cycle: keep the teacher's features on disk, as float16; off: compute them at every step.",
        changes_result=False,
    )
    feature_cache_dir: str = setting(
        "",
        "Where these features are kept (2 views × width × 2 bytes an image and epoch of the cycle). Empty: in the "
        "teacher's workdir, so that all runs with this teacher share them; of a saved Keras model: in --workdir. "
        "Several machines need it on a disk that they share.",
        changes_result=False,
    )


@dataclass(frozen=True)
class ComputeSettings:
    precision: str = setting(
        "float32",
        "Numbers that networks compute with in training. Mixed: convolutions in 16 bits; weights, losses, "
        "classifiers and normalisation in float32. mixed_bfloat16 suits recent CPUs, TPUs and GPUs, mixed_float16 "
        "(with a loss scale) other GPUs.",
        choices=PRECISIONS,
    )
    augment_on: str = setting(
        "host",
        "Where jitter, grey and blur of the views are computed: host: in the input pipeline; device: in the training "
        "step, on the accelerator, which helps where the CPU cannot keep up with it. The views are the same, but for "
        "rounding.",
        choices=("host", "device"),
        changes_result=False,
    )


@dataclass(frozen=True)
class RunSettings:
    workdir: str = setting("", "Folder that holds all of this run. Required.", changes_result=False)
    task: str = setting(
        "all",
        "teacher: pretrain the teacher only; student: the student's stages; all: both, as far as they are not done.",
        choices=("all", "teacher", "student"),
        changes_result=False,
    )
    seed: int = setting(0, "Seed of weights, data order and views.", low=0)
    dry_run: bool = setting(
        False,
        "Run everything on 32 images, in WORKDIR/dry_run: seconds a phase for small networks.",
        changes_result=False,
    )
    preview_views: bool = setting(
        False, "Write a picture of what the networks will see to the workdir, and stop.", changes_result=False
    )
    log_every: int = setting(50, "Steps between two rows of the metrics.", low=1, changes_result=False)
    checkpoint_minutes: float = setting(
        5.0, "Minutes between two checkpoints within an epoch's run.", low=0.0, changes_result=False
    )
    knn_every: int = setting(
        5, "Epochs between two online 20-NN accuracies (where labels exist); 0: never.", low=0, changes_result=False
    )


@dataclass(frozen=True)
class DistributionSettings:
    distribution: str = setting(
        "one_device",
        "Where to train. one_device: a GPU, or the CPU where there is none; mirrored: all GPUs of this machine; "
        "multi_worker: several machines with all their GPUs, the same command on each. --batch_size is that of all "
        "together.",
        choices=("one_device", "mirrored", "multi_worker"),
        changes_result=False,
    )
    workers: str = setting(
        "",
        "multi_worker: HOST:PORT of every machine, separated by commas, the same list on each. The first one shows "
        "and writes all. All need the same --workdir, on a disk that they share. TF_CONFIG can say the same.",
        changes_result=False,
    )
    worker_index: int = setting(
        -1, "multi_worker: place of this machine in --workers: 0 for the first, 1, …", low=-1, changes_result=False
    )
    worker_timeout: float = setting(
        300.0, "multi_worker: seconds to wait at the start until all workers are there.", low=1.0, changes_result=False
    )
