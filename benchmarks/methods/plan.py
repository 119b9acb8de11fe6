"""What is compared: settings, forms of training, and the runs they make, the most telling ones first."""

from dataclasses import dataclass

RECIPE = "--flagfile=flags/fashion_mnist.cfg"
PRECISION = "--precision=mixed_bfloat16"
HELD_OUT = "train[50000:]"
"""Images that no student learns from: what is chosen is chosen on them."""

DEFAULT_FORM = "balanced"
"""The form of BSSL that all others are compared with: the default of the command line."""


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

    @property
    def student_arguments(self) -> tuple[str, ...]:
        """Flags of train.py that all students of this setting have."""
        return (
            *(RECIPE, PRECISION, "--knn_every=0", f"--max_train_images={self.images}", f"--epochs={self.epochs}"),
            *(f"--view_cycle={self.epochs}", f"--stages={self.stages}"),
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
    ),
    "weak": Setting(
        *(5_000, 6, 5_000, 20, False),
        title="Fashion-MNIST, 5 000 images, two stages of 6 epochs; a teacher of the same images for each seed",
    ),
    "selection": Setting(
        *(2_500, 6, 0, 16, True),
        title="Choice of hyperparameters: 2 500 images, one stage of 6 epochs, measured on held-out training images",
        stages="2",
        tested=False,
    ),
    "quick": Setting(*(512, 2, 512, 2, False), title="A check of the machinery: 512 images, two epochs a stage"),
}


@dataclass(frozen=True)
class Form:
    """One way to train the student.

    Args:
        title: for tables.
        arguments: flags of train.py.
        temperature: flag that sets its temperature, with {} for the number; "" if it has none.
        part: "methods", "ablation" or "further", the table it belongs to.
        distils: whether it needs the teacher.
        epochs: of each stage; 0: the setting's.
    """

    title: str
    arguments: tuple[str, ...]
    temperature: str = ""
    part: str = "methods"
    distils: bool = True
    epochs: int = 0


def _own(title: str, method: str, temperature: str = "--method_options=temperature={}") -> Form:
    return Form(title, (f"--method={method}",), temperature, distils=False)


def _bssl(title: str, *arguments: str, part: str = "methods") -> Form:
    return Form(title, ("--method=bssl", *arguments), "--temperature={}", part)


FORMS = {
    "balanced": _bssl("BSSL, balanced", "--target=balanced"),
    "contrast": _bssl("BSSL, contrast", "--target=contrast"),
    "s2bnn_contrastive": Form(
        "S2-BNN, with contrastive term",
        ("--method=s2bnn", "--method_options=contrastive=1.0"),
        "--method_options=contrastive=1.0,temperature={0},contrastive_temperature={0}",
    ),
    "simclr": _own("SimCLR", "simclr"),
    "s2bnn": Form("S2-BNN, distillation", ("--method=s2bnn",), "--method_options=temperature={}"),
    "frozen": _bssl("BSSL, g_θ frozen", "--target=frozen"),
    "joint": _bssl("BSSL, joint (the paper's letter)", "--target=joint"),
    "supervised": _own("supervised", "supervised", ""),
    "random": Form("random network", (), distils=False),
    "moco_v2": _own("MoCo v2", "moco_v2"),
    "byol": _own("BYOL", "byol", ""),
    "swav": _own("SwAV", "swav"),
    "rows_1": _bssl("① balanced target alone", "--target=balanced", "--ablation=joint", part="ablation"),
    "rows_2": _bssl("①+② L_FS, λ = ½", "--target=balanced", "--ablation=similarity", part="ablation"),
    "rows_3": _bssl("①+②+③ λ from 0.9 to 0.7", "--target=balanced", "--ablation=balancing", part="ablation"),
    "rows_4": _bssl("①+②+③+④ two stages", "--target=balanced", "--balance=cosine", part="ablation"),
    "without_3": _bssl(
        "without L_FS, two stages", "--target=balanced", *("--balance=constant", "--balance_start=0"), part="ablation"
    ),
    "fs_alone": _bssl(
        "L_FS alone, two stages", "--target=balanced", *("--balance=constant", "--balance_start=1"), part="ablation"
    ),
    "map_linear": _bssl("linear map", "--target=balanced", "--similarity_map=linear", part="ablation"),
    "raw_features": _bssl("raw teacher features", "--target=balanced", "--standardise=no", part="ablation"),
    "k_64": _bssl("K = 64", "--target=balanced", "--pseudo_classes=64", part="ablation"),
    "k_1024": _bssl("K = 1024", "--target=balanced", "--pseudo_classes=1024", part="ablation"),
    "same_view": _bssl("same view", "--target=balanced", "--views=same", part="further"),
    "approx_sign": _bssl("approx_sign", "--target=balanced", "--quantizer=approx_sign", part="further"),
    "milder_views": _bssl("milder crops (0.4 and more)", "--target=balanced", "--crop_min=0.4", part="further"),
    "weight_decay": _bssl(
        "AdamW, weight decay 0.01", "--target=balanced", "--optimizer=adamw", "--weight_decay=0.01", part="further"
    ),
}

LENGTHS = (4, 8, 16, 32)
LENGTH_FORMS = ("balanced", "s2bnn_contrastive", "simclr")

LEARNING_RATES = (5e-4, 1e-3, 2e-3)
TEMPERATURES = (0.1, 0.2)


@dataclass(frozen=True)
class Run:
    """One training of one form, or of a teacher, or a teacher's features.

    Args:
        setting: name of its setting.
        key: name of its form; "teacher"; "features".
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


def run_of(setting: str, key: str, seed: int, chosen: dict[str, dict[str, float]], epochs: int = 0) -> Run:
    """The run of a form; of a form that is not in `chosen`, with the recipe's hyperparameters.

    Args:
        setting: name of a setting.
        key: name of a form; an ablation's and a further one has the hyperparameters of BSSL's default form.
        seed: its seed.
        chosen: name of a form → ``learning_rate`` and, where it has one, ``temperature``.
        epochs: of each stage; 0: the setting's.
    """
    form = FORMS[key]
    if not form.arguments:
        return Run(setting, key, seed, ())
    own = chosen.get(key if form.part == "methods" else DEFAULT_FORM, {})
    arguments = [*SETTINGS[setting].student_arguments, *form.arguments]
    if "learning_rate" in own:
        arguments.append(f"--learning_rate={own['learning_rate']:g}")
    if form.temperature and "temperature" in own:
        arguments.append(form.temperature.format(f"{own['temperature']:g}"))
    if epochs:
        arguments += [f"--epochs={epochs}", f"--view_cycle={min(epochs, 8)}"]
        key = f"{key}-{epochs}epochs"
    return Run(setting, key, seed, (*arguments, f"--seed={seed}"))


def teacher_run(setting: str, seed: int) -> Run:
    """The teacher of a seed's students."""
    if setting == "selection":
        setting = "strong"
    of = SETTINGS[setting]
    seed = 0 if of.shared_teacher else seed
    return Run(setting, "teacher", seed, (*of.teacher_arguments, f"--seed={seed}"))


def features_run(setting: str, seed: int) -> Run:
    """The teacher's features of the views of a seed, which all distilling students share."""
    return Run(setting, "features", seed, (*SETTINGS[setting].student_arguments, f"--seed={seed}"))


def queue(setting: str, keys: list[str], seeds: list[int], chosen: dict) -> list[Run]:
    """All runs of some forms, seed by seed, so that what is there after any of them can be compared."""
    runs = []
    for seed in seeds:
        if not runs or not SETTINGS[setting].shared_teacher:
            runs.append(teacher_run(setting, seed))
        if any(FORMS[key].distils for key in keys):
            runs.append(features_run(setting, seed))
        runs += [run_of(setting, key, seed, chosen) for key in keys]
    return runs


def length_queue(setting: str, seed: int, chosen: dict) -> list[Run]:
    """How accuracy grows with epochs: some forms, the shortest first."""
    runs = [teacher_run(setting, seed)]
    for epochs in LENGTHS:
        runs += [run_of(setting, key, seed, chosen, epochs) for key in LENGTH_FORMS]
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
                values = {"learning_rate": rate, "temperature": temperature}
                run = run_of("selection", key, seed, {key: values})
                runs.append(Run("selection", f"{key}-{rate:g}-{temperature:g}", seed, run.arguments))
    return runs
