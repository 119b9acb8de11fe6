"""Settings of how teacher and student learn: method, optimizer, schedule."""

from dataclasses import dataclass

from bssl_tf.config.setting import LARGEST_LEARNING_RATE, MOST_EPOCHS, MOST_IN_A_BATCH, setting
from bssl_tf.methods.registry import method_names, teacher_method_names

OPTIMIZERS = ("adam", "adamw", "sgd", "lars")


@dataclass(frozen=True)
class OptimizerSettings:
    epochs: int = setting(100, "Epochs of each stage.", low=1, high=MOST_EPOCHS)
    batch_size: int = setting(256, "Images (two views each) in a step.", low=2, high=MOST_IN_A_BATCH)
    micro_batches: int = setting(
        1,
        "Parts in which a step's batch is computed, one after another (gradient accumulation): the memory of one part. "
        "All but batch norm, which sees the parts, is as if the batch were whole. Of the student; for the teacher, "
        "whose loss compares all images of a batch, lower --teacher_batch_size.",
        low=1,
        high=MOST_IN_A_BATCH,
    )
    optimizer: str = setting(
        "adam", "Optimizer of the student and its target. adamw and lars suit large batches.", choices=OPTIMIZERS
    )
    learning_rate: float = setting(
        1e-3, "Peak learning rate; falls to 0 as a cosine.", low=0.0, high=LARGEST_LEARNING_RATE
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay of kernels, not of biases and batch norms (not with adam). The paper has none.",
        low=0.0,
        high=10.0,
    )
    momentum: float = setting(0.9, "Momentum of sgd and lars, the teacher's too.", low=0.0, high=1.0)
    warmup_epochs: int = setting(5, "Epochs of linear warm-up of the learning rate.", low=0, high=MOST_EPOCHS)


@dataclass(frozen=True)
class PretrainingSettings:
    teacher_method: str = setting(
        "simclr", f"How a teacher is pretrained here: {', '.join(teacher_method_names())}, or a module of your own."
    )
    teacher_method_options: str = setting(
        "", "Options of --teacher_method, as in --method_options, for instance temperature=0.1,projection_size=256."
    )
    teacher_epochs: int = setting(100, "Epochs of the teacher's pretraining.", low=1, high=MOST_EPOCHS)
    teacher_batch_size: int = setting(256, "Images (two views each) in a teacher's step.", low=2, high=MOST_IN_A_BATCH)
    teacher_optimizer: str = setting("adam", "Optimizer of the teacher.", choices=OPTIMIZERS)
    teacher_learning_rate: float = setting(
        1e-3, "Peak learning rate of the teacher; falls to 0 as a cosine.", low=0.0, high=LARGEST_LEARNING_RATE
    )
    teacher_weight_decay: float = setting(
        0.0, "Weight decay of the teacher's kernels (not with adam).", low=0.0, high=10.0
    )
    teacher_warmup_epochs: int = setting(
        5, "Epochs of linear warm-up of the teacher's learning rate.", low=0, high=MOST_EPOCHS
    )

    def optimizer_settings(self, momentum: float) -> OptimizerSettings:
        """The same as settings of an optimizer and its schedule.

        Args:
            momentum: of sgd and lars, which the teacher shares with the student.
        """
        return OptimizerSettings(
            epochs=self.teacher_epochs,
            batch_size=self.teacher_batch_size,
            optimizer=self.teacher_optimizer,
            learning_rate=self.teacher_learning_rate,
            weight_decay=self.teacher_weight_decay,
            momentum=momentum,
            warmup_epochs=self.teacher_warmup_epochs,
        )


@dataclass(frozen=True)
class MethodSettings:
    method: str = setting(
        "bssl",
        f"How the student learns: {', '.join(method_names())}, or a module of your own that Python can import, such "
        "as my_package.my_module.",
    )
    method_options: str = setting(
        "",
        "Options of --method, as NAME=VALUE,NAME=VALUE; `python -m bssl_tf.methods` lists them. bssl has flags.",
    )
    stages: str = setting(
        "auto",
        "Which stages to run: 1 (binary activations, float weights), 2 (fully binary), 1,2, or auto: both, but for "
        "--ablation rows of a single stage.",
        choices=("auto", "1", "2", "1,2"),
    )
