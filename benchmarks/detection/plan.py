"""What is compared: detectors on the backbones that `benchmarks.methods` trains, and on a random one."""

from dataclasses import dataclass

from benchmarks.methods import plan as pretraining
from benchmarks.methods.forms import DEFAULT_FORM

SETTING = "strong"
"""Of `benchmarks.methods`: its students are the backbones."""
SCRATCH = "scratch"
BACKBONES = {
    SCRATCH: "from scratch",
    "supervised": "supervised, 10 000 labels",
    "simclr": "SimCLR",
    DEFAULT_FORM: "BSSL",
}
"""Form of pretraining → its name in tables."""
SCENES = (100, 1000)
TEST_SCENES = 500
BATCH, STEPS = 16, 300
"""Steps: about as many, full epochs of either number of scenes."""
SCENE_SIZE = 128
"""Height and width of a scene in pixels, and of the networks' images."""
DATA = "--dataset=tfds:fashion_scenes"


@dataclass(frozen=True)
class Run:
    """One detector, or classifiers of scenes on one backbone.

    Args:
        part: "detectors" or "labels".
        backbone: key of `BACKBONES`.
        scenes: annotated training scenes.
        seed: of pretraining, and of the detector.
        flags: that shape the result, but for where the backbone lies.
        pretrained: the backbone's own run; of a random one any that gives the same network.
    """

    part: str
    backbone: str
    scenes: int
    seed: int
    flags: tuple[str, ...]
    pretrained: pretraining.Run

    @property
    def name(self) -> str:
        return f"{self.part}/{self.backbone}-{self.scenes}-seed{self.seed}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """All that shapes the result, for its record."""
        backbone = f"random, seed {self.seed}" if self.backbone == SCRATCH else " ".join(self.pretrained.arguments)
        return (*self.flags, f"images of {SCENE_SIZE} pixels", f"backbone: {backbone}")


def detector_run(backbone: str, scenes: int, seed: int, chosen: dict) -> Run:
    """A detector, trained and scored.

    Args:
        backbone: key of `BACKBONES`.
        scenes: annotated training scenes.
        seed: its seed, and that of its backbone.
        chosen: hyperparameters of pretraining, see `benchmarks.methods.records.chosen`.
    """
    flags = (
        *(DATA, f"--max_train_images={scenes}", f"--max_test_images={TEST_SCENES}"),
        *(f"--epochs={round(STEPS / (scenes // BATCH))}", f"--batch_size={BATCH}", "--learning_rate=0.003"),
        *("--finetune_layers=whole", "--neck_channels=64", f"--seed={seed}"),
    )
    return Run("detectors", backbone, scenes, seed, flags, _pretraining(backbone, seed, chosen))


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
        if "labels" in parts:
            runs += [labels_run(key, seed, chosen) for key in backbones]
    return runs


def _pretraining(backbone: str, seed: int, chosen: dict) -> pretraining.Run:
    return pretraining.run_of(SETTING, "simclr" if backbone == SCRATCH else backbone, seed, chosen)
