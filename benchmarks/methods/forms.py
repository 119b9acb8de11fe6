"""The forms of training that are compared, in the order in which they are run."""

from dataclasses import dataclass, replace

DEFAULT_FORM = "balanced"
"""The form of BSSL that all others are compared with: the default of the command line."""


@dataclass(frozen=True)
class Form:
    """One way to train the student.

    Args:
        title: for tables.
        arguments: flags of train.py.
        temperature: flag that sets its temperature, with {} for the number; "" if it has none.
        part: "methods", "ablation" or "further", the table it belongs to.
        distils: whether it needs the teacher.
        in_one_stage: whether it has the epochs of two stages in one; a setting of one stage has no such form.
        tuned_as: the form whose learning rate and temperature it has, unless its part is "methods".
    """

    title: str
    arguments: tuple[str, ...]
    temperature: str = ""
    part: str = "methods"
    distils: bool = True
    in_one_stage: bool = False
    tuned_as: str = DEFAULT_FORM


def _own(title: str, method: str, temperature: str = "--method_options=temperature={}") -> Form:
    return Form(title, (f"--method={method}",), temperature, distils=False)


def _bssl(title: str, *arguments: str, part: str = "methods") -> Form:
    return Form(title, ("--method=bssl", *arguments), "--temperature={}", part)


def _variant(title: str, name: str, *options: str, flags: tuple[str, ...] = ()) -> Form:
    method = f"--method=benchmarks.methods.variants.{name}"
    options_of = "--method_options=" + ",".join([*options, "temperature={}"])
    return Form(title, (method, *flags), options_of, "further")


FORMS = {
    "balanced": _bssl("BSSL, balanced", "--target=balanced"),
    "papers_balance": _bssl(
        "BSSL, balanced, λ from 0.9 to 0.7, T_t = 0.1",
        *("--target=balanced", "--balance=cosine", "--target_temperature=0.1"),
    ),
    "contrast": _bssl("BSSL, contrast", "--target=contrast"),
    "s2bnn_contrastive": Form(
        "S2-BNN, with contrastive term",
        ("--method=s2bnn", "--method_options=unit_length=true,contrastive=1.0"),
        "--method_options=unit_length=true,contrastive=1.0,temperature={0},contrastive_temperature={0}",
    ),
    "simclr": _own("SimCLR", "simclr"),
    "s2bnn": Form(
        "S2-BNN, distillation",
        ("--method=s2bnn", "--method_options=unit_length=true"),
        "--method_options=unit_length=true,temperature={}",
    ),
    "frozen": _bssl("BSSL, g_θ frozen", "--target=frozen"),
    "joint": _bssl("BSSL, joint (the paper's letter)", "--target=joint"),
    "supervised": _own("supervised", "supervised", ""),
    "random": Form("random network", (), distils=False),
    "moco_v2": _own("MoCo v2", "moco_v2"),
    "byol": _own("BYOL", "byol", ""),
    "swav": _own("SwAV", "swav"),
    "without_fs": _bssl(
        "without L_FS", "--target=balanced", *("--balance=constant", "--balance_start=0"), part="ablation"
    ),
    "fs_alone": _bssl("L_FS alone", "--target=balanced", *("--balance=constant", "--balance_start=1"), part="ablation"),
    "cosine": _bssl("λ from 0.9 to 0.7", "--target=balanced", "--balance=cosine", part="ablation"),
    "one_stage": replace(
        _bssl("one stage, twice as long", "--target=balanced", "--stages=2", part="ablation"), in_one_stage=True
    ),
    "s2bnn_one_stage": Form(
        "S2-BNN, distillation, one stage, twice as long",
        ("--method=s2bnn", "--method_options=unit_length=true", "--stages=2"),
        "--method_options=unit_length=true,temperature={}",
        "ablation",
        in_one_stage=True,
        tuned_as="s2bnn",
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
    "slow_target": _bssl(
        "θ at a quarter of the student's rate",
        *("--target=balanced", "--target_learning_rate_multiplier=0.25"),
        part="further",
    ),
    "memory": _variant("memory of 1024 past targets", "memory", "memory_size=1024"),
    "own_views": _variant("½ contrastive term between own views", "own_views", "contrastive=0.5"),
    "both": _variant("balanced and contrast, half each", "both"),
    "heads_8": _variant("8 heads of 32 pseudo-classes", "heads", "heads=8"),
    "heads_4_of_256": _variant("4 heads of 256 pseudo-classes", "heads", "heads=4", "pseudo_classes=1024"),
    "averaged": _variant("average of latent weights, 0.98", "averaged", "momentum=0.98"),
    "local_crops": _variant(
        "two local crops of 14 pixels",
        "local_crops",
        flags=("--local_crops=2", "--local_crop_size=14", "--feature_cache=false"),
    ),
}

LENGTHS = (4, 8, 16, 32)
LENGTH_FORMS = ("balanced", "s2bnn", "s2bnn_contrastive")

LEARNING_RATES = (1e-3, 2e-3, 4e-3, 8e-3, 16e-3)
"""Of short runs, which like larger ones than runs of full length: those have `plan.Setting.rates`."""

TEMPERATURES = (0.1, 0.2)
