"""What is compared: settings, and the runs that they and the forms make, the most telling ones first."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.methods.forms import (
    FORMS,
    LEARNING_RATES,
    LENGTH_FORMS,
    LENGTHS,
    TEMPERATURES,
)

RECIPE = "--flagfile=flags/fashion_mnist.cfg"
PRECISION = "--precision=mixed_bfloat16"
VIEW_CYCLE = 8
"""Epochs after which views come again, at most: the teacher's features of them are computed once."""
HELD_OUT = "train[50000:]"
"""Images that no student learns from: what is chosen is chosen on them."""


@dataclass(frozen=True)
class Setting:
    """Images, lengths and teacher of a comparison.

    Args:
        images: the student's training images, the first of the training split.
        epochs: of each stage.
        teacher_images: the teacher's; 0: all.
        teacher_epochs: its epochs.
        shared_teacher: one teacher for all seeds, or one for each.
        stages: of the student.
        tested: whether features are measured on test images; on held-out training images they always are.
        rates: learning rates that every form is tried with in runs of full length; none: the grid's best.
        teacher_of: the setting whose teacher it has; "": its own.
        student: flags of train.py that make another student of it than the recipe's.
        title: for tables.
    """

    images: int
    epochs: int
    teacher_images: int
    teacher_epochs: int
    shared_teacher: bool
    title: str
    stages: str = "auto"
    tested: bool = True
    rates: tuple[float, ...] = ()
    teacher_of: str = ""
    student: tuple[str, ...] = ()

    @property
    def student_arguments(self) -> tuple[str, ...]:
        """Flags of train.py that all students of this setting have."""
        return (
            *(RECIPE, PRECISION, "--knn_every=0", f"--max_train_images={self.images}", f"--epochs={self.epochs}"),
            *(f"--view_cycle={min(self.epochs, VIEW_CYCLE)}", f"--stages={self.stages}"),
            *self.student,
        )

    @property
    def teacher_arguments(self) -> tuple[str, ...]:
        return (
            *(RECIPE, PRECISION, "--knn_every=0", "--task=teacher"),
            *(f"--max_train_images={self.teacher_images}", f"--teacher_epochs={self.teacher_epochs}"),
        )


SETTINGS = {
    "strong": Setting(
        *(10_000, 8, 0, 16, True),
        title="Fashion-MNIST, 10 000 images, two stages of 8 epochs; one teacher of all 60 000 images, 16 epochs",
        rates=(4e-3, 8e-3, 16e-3),
    ),
    "weak": Setting(
        *(5_000, 6, 5_000, 20, False),
        title="Fashion-MNIST, 5 000 images, two stages of 6 epochs; a teacher of the same images for each seed",
        rates=(4e-3, 8e-3, 16e-3),
    ),
    "many": Setting(
        *(50_000, 2, 0, 16, True),
        title="Fashion-MNIST, 50 000 images, two stages of 2 epochs; the same teacher of all 60 000 images",
        rates=(4e-3, 8e-3, 16e-3),
        teacher_of="strong",
    ),
    "few": Setting(
        *(2_500, 16, 0, 16, True),
        title="Fashion-MNIST, 2 500 images, two stages of 16 epochs; the same teacher of all 60 000 images",
        rates=(4e-3, 8e-3, 16e-3),
        teacher_of="strong",
    ),
    "narrow": Setting(
        *(10_000, 8, 0, 16, True),
        title="Fashion-MNIST, 10 000 images, two stages of 8 epochs; the teacher of all images, a student half as wide",
        rates=(16e-3,),
        teacher_of="strong",
        student=("--student_width=16",),
    ),
    "selection": Setting(
        *(2_500, 6, 0, 16, True),
        title="Held-out training images, 2 500 others to learn from, one stage of 6 epochs",
        stages="2",
        tested=False,
        teacher_of="strong",
    ),
    "quick": Setting(*(512, 2, 512, 2, False), title="A check of the machinery: 512 images, two epochs a stage"),
}


@dataclass(frozen=True)
class Run:
    """One training of one form, or of a teacher, or a teacher's features.

    Args:
        setting: name of its setting.
        key: name of its form, with what was chosen of several values; "teacher"; "features".
        seed: of weights, order and views.
        arguments: flags of train.py that shape its result.
    """

    setting: str
    key: str
    seed: int
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.setting}/{self.key}-seed{self.seed}"


@dataclass(frozen=True)
class Choice:
    """Hyperparameters of a form, chosen on held-out training images.

    Args:
        learning_rate: the best of short runs; 0: none was chosen.
        temperatures: learning rate, as text → the best temperature with it, of short runs.
        rates: setting → the best learning rate there, of runs of full length.
    """

    learning_rate: float = 0.0
    temperatures: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)


def run_of(setting: str, key: str, seed: int, chosen: dict[str, Choice], epochs: int = 0, rate: float = 0.0) -> Run:
    """The run of a form; of a form that is not in `chosen`, with the recipe's hyperparameters.

    Args:
        setting: name of a setting.
        key: name of a form; an ablation's and a further one has the hyperparameters of the form that it is `tuned_as`.
        seed: its seed.
        chosen: of each form.
        epochs: of each stage; 0: the setting's.
        rate: the learning rate; 0: the chosen one.
    """
    form = FORMS[key]
    if not form.arguments:
        return Run(setting, key, seed, ())
    own = chosen.get(key if form.part == "methods" else form.tuned_as, Choice())
    arguments = [*SETTINGS[setting].student_arguments, *form.arguments]
    if form.in_one_stage:
        arguments.append(f"--epochs={2 * SETTINGS[setting].epochs}")
    rate = rate or own.rates.get(setting, own.learning_rate)
    if rate:
        arguments.append(f"--learning_rate={rate:g}")
        key += f"-{rate:g}" if SETTINGS[setting].rates else ""
    if form.temperature and f"{rate:g}" in own.temperatures:
        arguments.append(form.temperature.format(f"{own.temperatures[f'{rate:g}']:g}"))
    if epochs not in (0, SETTINGS[setting].epochs):
        arguments += [f"--epochs={epochs}", f"--view_cycle={min(epochs, VIEW_CYCLE)}"]
        key = f"{key}-{epochs}epochs"
    return Run(setting, key, seed, (*arguments, f"--seed={seed}"))


def teacher_run(setting: str, seed: int) -> Run:
    """The teacher of a seed's students."""
    setting = SETTINGS[setting].teacher_of or setting
    of = SETTINGS[setting]
    seed = 0 if of.shared_teacher else seed
    return Run(setting, "teacher", seed, (*of.teacher_arguments, f"--seed={seed}"))


def features_run(setting: str, seed: int) -> Run:
    """The teacher's features of the views of a seed, which all distilling students share."""
    return Run(setting, "features", seed, (*SETTINGS[setting].student_arguments, f"--seed={seed}"))


def queue(setting: str, keys: list[str], seeds: list[int], chosen: dict[str, Choice]) -> list[Run]:
    """All runs of some forms, seed by seed, so that what is there after any of them can be compared."""
    runs = []
    keys = [key for key in keys if not (FORMS[key].in_one_stage and SETTINGS[setting].stages == "2")]
    for seed in seeds:
        if not runs or not SETTINGS[setting].shared_teacher:
            runs.append(teacher_run(setting, seed))
        if any(FORMS[key].distils for key in keys):
            runs.append(features_run(setting, seed))
        runs += [run_of(setting, key, seed, chosen) for key in keys]
    return runs


def length_queue(
    setting: str,
    seeds: Sequence[int],
    chosen: dict[str, Choice],
    lengths: Sequence[int] = LENGTHS,
    keys: Sequence[str] = LENGTH_FORMS,
) -> list[Run]:
    """How accuracy grows with epochs: some forms, the shortest first."""
    runs = [teacher_run(setting, seeds[0])]
    for epochs in sorted(lengths):
        runs += [run_of(setting, key, seed, chosen, epochs) for seed in seeds for key in keys]
    return runs


def rates_queue(setting: str, keys: list[str], chosen: dict[str, Choice], seeds: Sequence[int] = (0,)) -> list[Run]:
    """Every form with every rate of the setting, in full length: the middle rates first, as they are likely to win."""
    keys = [key for key in keys if FORMS[key].arguments and FORMS[key].part == "methods"]
    rates = sorted(SETTINGS[setting].rates, key=lambda rate: abs(rate - statistics.median(SETTINGS[setting].rates)))
    runs = [teacher_run(setting, seeds[0])]
    for seed in seeds:
        runs.append(features_run(setting, seed))
        runs += [run_of(setting, key, seed, chosen, rate=rate) for rate in rates for key in keys]
    return runs


def selection_queue(keys: list[str], seed: int = 100) -> list[Run]:
    """The grid of every form that has hyperparameters; their keys end in the values."""
    runs = [teacher_run("selection", seed), features_run("selection", seed)]
    for rate in LEARNING_RATES:
        for temperature in TEMPERATURES:
            for key in keys:
                if not FORMS[key].arguments or FORMS[key].part != "methods":
                    continue
                if not FORMS[key].temperature and temperature != TEMPERATURES[0]:
                    continue
                run = run_of("selection", key, seed, {key: Choice(rate, {f"{rate:g}": temperature})})
                runs.append(Run("selection", f"{key}-{rate:g}-{temperature:g}", seed, run.arguments))
    return runs
