"""What is compared: detectors on the backbones that `benchmarks.methods` trains, and on a random one."""

from dataclasses import dataclass

from benchmarks.methods import plan as pretraining
from benchmarks.methods.forms import DEFAULT_FORM

SETTING = "strong"
"""Of `benchmarks.methods`: its students are the backbones."""
PRETRAINING_RATE = 4e-3
"""Learning rate of these students."""
SCRATCH = "scratch"
BACKBONES = {
    SCRATCH: "from scratch",
    "supervised": "supervised, 10 000 labels",
    "simclr": "SimCLR",
    DEFAULT_FORM: "BSSL",
}
"""Form of pretraining → its name in tables."""
STUDENTS = ("quicknet_small", "quicknet", "quicknet_large", "binary_resnet_e18", "reactnet_a")
"""Other networks, from random weights: whether their files find what Keras finds."""
SCENES = (100, 1000)
TEST_SCENES = 500
BATCH, STEPS = 16, 300
"""Steps: about as many, full epochs of either number of scenes."""
WARMUP = 0.2
"""Share of the steps in which the learning rate rises, rounded to full epochs."""
FEW_STEPS, FEW_TEST_SCENES = 36, 100
SCENE_SIZE = 128
"""Height and width of a scene in pixels, and of the networks' images."""
DATA = "--dataset=tfds:fashion_scenes"


@dataclass(frozen=True)
class Run:
    """One detector, or classifiers of scenes on one backbone.

    Args:
        part: "detectors", "labels" or "students".
        backbone: key of `BACKBONES`, or one of `STUDENTS`.
        scenes: annotated training scenes.
        seed: of pretraining, and of the detector.
        flags: that shape the result, but for where the backbone lies.
        pretrained: the backbone's own run; of a random one any that gives the same network; None of `STUDENTS`.
    """

    part: str
    backbone: str
    scenes: int
    seed: int
    flags: tuple[str, ...]
    pretrained: pretraining.Run | None

    @property
    def name(self) -> str:
        return f"{self.part}/{self.backbone}-{self.scenes}-seed{self.seed}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """All that shapes the result, for its record."""
        backbone = f"random, seed {self.seed}"
        if self.pretrained is None:
            backbone = f"{self.backbone}, {backbone}"
        elif self.backbone != SCRATCH:
            backbone = " ".join(self.pretrained.arguments)
        return (*self.flags, f"images of {SCENE_SIZE} pixels", f"backbone: {backbone}")


def detector_run(backbone: str, scenes: int, seed: int, chosen: dict) -> Run:
    """A detector, trained and scored.

    Args:
        backbone: key of `BACKBONES`.
        scenes: annotated training scenes.
        seed: its seed, and that of its backbone.
        chosen: hyperparameters of pretraining, see `benchmarks.methods.records.chosen`.
    """
    flags = _detector_flags(scenes, STEPS, TEST_SCENES, seed)
    return Run("detectors", backbone, scenes, seed, flags, _pretraining(backbone, seed, chosen))


def student_run(student: str) -> Run:
    """A detector on another network, trained for a few steps, so that batch norms and binary weights have settled."""
    scenes = min(SCENES)
    return Run("students", student, scenes, 0, _detector_flags(scenes, FEW_STEPS, FEW_TEST_SCENES, 0), None)


def labels_run(backbone: str, seed: int, chosen: dict) -> Run:
    """Which classes a scene shows: linear classifiers on the frozen backbone, at the scenes' own size."""
    scenes = max(SCENES)
    flags = (
        *(DATA, f"--max_train_images={scenes}", f"--max_test_images={TEST_SCENES}"),
        *("--protocols=svm,linear", "--svm_shots=1,2,4,8,16,32,64,96", "--draws=5", "--seed=0"),
    )
    return Run("labels", backbone, scenes, seed, flags, _pretraining(backbone, seed, chosen))


def queue(parts: list[str], backbones: list[str], scenes: list[int], seeds: list[int], chosen: dict) -> list[Run]:
    """Seed by seed, so that what is there after any of them can be compared."""
    runs = []
    for seed in seeds:
        if "detectors" in parts:
            runs += [detector_run(key, number, seed, chosen) for number in scenes for key in backbones]
        if "labels" in parts and seed == seeds[0]:
            runs += [labels_run(key, seed, chosen) for key in backbones]
    return runs + [student_run(student) for student in STUDENTS if "students" in parts]


def _detector_flags(scenes: int, steps: int, test_scenes: int, seed: int) -> tuple[str, ...]:
    steps_of_epoch = scenes // BATCH
    warmup = round(WARMUP * steps / steps_of_epoch)
    return (
        *(DATA, f"--max_train_images={scenes}", f"--max_test_images={test_scenes}"),
        *(f"--epochs={round(steps / steps_of_epoch)}", f"--batch_size={BATCH}", "--learning_rate=0.003"),
        *("--finetune_layers=whole", "--neck_channels=64", f"--seed={seed}"),
        *([f"--warmup_epochs={warmup}"] if warmup != 1 else []),
    )


def _pretraining(backbone: str, seed: int, chosen: dict) -> pretraining.Run:
    key = "simclr" if backbone == SCRATCH else backbone
    return pretraining.run_of(SETTING, key, seed, chosen, rate=PRETRAINING_RATE)
