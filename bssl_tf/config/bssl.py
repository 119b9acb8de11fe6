"""Settings of BSSL (`bssl_tf.methods.bssl`): the options of a method that has flags of its own."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from bssl_tf.config.setting import setting
from bssl_tf.errors import ConfigError

_LOWEST_TEMPERATURE = 1e-3


@dataclass(frozen=True)
class BsslSettings:
    """Settings that are auto (a temperature of 0) follow from `target`: `resolved` replaces them."""

    METHOD: ClassVar[str] = "bssl"

    target: str = setting(
        "balanced",
        "What the student learns from the target's classifier g_θ, and how θ learns. balanced: pseudo-classes, each "
        "used equally often; contrast: which image of the batch it is; joint: the paper's letter (θ follows the "
        "gradient of the KL loss, and may collapse); frozen: the same, but θ stays random.",
        choices=("joint", "frozen", "contrast", "balanced"),
    )
    ablation: str = setting(
        "full",
        "Row of the paper's ablation. joint: ① the target's loss alone; similarity: ①+② with a constant balance; "
        "balancing: ①+②+③; all three in a single stage; full: ①+②+③+④, two stages.",
        choices=("joint", "similarity", "balancing", "full"),
    )
    similarity: str = setting("features", "What the feature similarity loss compares.", choices=("features", "logits"))
    similarity_map: str = setting(
        "auto",
        "Map from the student's features to the teacher's width in the feature similarity loss, dropped after "
        "training. mlp: with a hidden layer; auto: mlp; with --target=joint or frozen linear where the widths differ.",
        choices=("auto", "identity", "linear", "mlp"),
    )
    standardise: str = setting(
        "auto",
        "Bring every teacher feature to mean 0 and deviation 1 over the batch. auto: yes; with --target=joint or "
        "frozen no, as in the paper.",
        choices=("auto", "yes", "no"),
    )
    balance: str = setting(
        "auto",
        "Weight λ of the similarity loss over the steps of a stage, 1 - λ being the target's. cosine: from "
        "--balance_start to --balance_end; constant: --balance_start; equal: 0.5; auto: equal; with --target=joint or "
        "frozen as --ablation says.",
        choices=("auto", "cosine", "constant", "equal"),
    )
    balance_start: float = setting(0.9, "λ at the first step; the λ of a constant balance.", low=0.0, high=1.0)
    balance_end: float = setting(0.7, "λ at the last step.", low=0.0, high=1.0)
    temperature: float = setting(
        0.0,
        "Softmax temperature T of the student (and of its target, but for --target=balanced). 0: 0.2 with "
        "--target=joint or frozen, else 0.1.",
        low=0.0,
        high=100.0,
    )
    target_temperature: float = setting(
        0.07,
        "Softmax temperature of the target that the student learns from; of --target=balanced.",
        low=_LOWEST_TEMPERATURE,
        high=100.0,
    )
    pseudo_classes: int = setting(2000, "K: outputs and hidden units of both classifiers.", low=2, high=1_000_000)
    views: str = setting(
        "swapped", "Views that student and target see: the same one, or each other's.", choices=("swapped", "same")
    )
    target_learning_rate_multiplier: float = setting(
        1.0, "Learning rate of g_θ relative to the student's.", low=0.0, high=1000.0
    )

    @property
    def compares_images(self) -> bool:
        """Whether the loss compares the images of a batch, which then cannot be split."""
        return not self.is_papers or self.standardise == "yes"

    @property
    def is_papers(self) -> bool:
        """Whether the target is one of the paper's, whose values the other settings take by default."""
        return self.target in ("joint", "frozen")

    @property
    def balance_ends(self) -> tuple[float, float]:
        """(λ_0, λ_T): equal where λ is constant, both 0 where there is no similarity loss."""
        if self.ablation == "joint":
            return 0.0, 0.0
        kind = self.balance
        if kind == "auto" and not self.is_papers and self.ablation != "balancing":
            kind = "equal"
        elif kind == "auto":
            kind = "constant" if self.ablation == "similarity" else "cosine"
        return {
            "equal": (0.5, 0.5),
            "constant": (self.balance_start, self.balance_start),
            "cosine": (self.balance_start, self.balance_end),
        }[kind]

    @property
    def default_stages(self) -> str:
        return "1,2" if self.ablation == "full" else "2"

    @property
    def optimizer_multipliers(self) -> dict[str, float]:
        """g_θ has an optimizer of its own only where its learning rate is another one."""
        multiplier = self.target_learning_rate_multiplier
        return {"target_optimizer": multiplier} if self.target != "frozen" and multiplier != 1.0 else {}

    def resolved(self) -> dict[str, Any]:
        """Name → value of all that shapes the method, each auto replaced by what it stands for."""
        papers, values = self.is_papers, dataclasses.asdict(self)
        for shorthand in ("ablation", "balance"):
            del values[shorthand]
        values["balance_start"], values["balance_end"] = self.balance_ends
        values["temperature"] = self.temperature or (0.2 if papers else 0.1)
        if self.standardise == "auto":
            values["standardise"] = "no" if papers else "yes"
        if self.similarity_map == "auto" and not papers:
            values["similarity_map"] = "mlp"
        if self.target != "balanced":
            del values["target_temperature"]
        return values

    def options(self, total_steps: int) -> dict[str, Any]:
        """Keyword arguments of `bssl_tf.methods.bssl.Bssl` for a stage of so many steps."""
        from bssl_tf.balancing import CosineBalance  # imports TensorFlow

        values = self.resolved()
        ends = values.pop("balance_start"), values.pop("balance_end")
        del values["target_learning_rate_multiplier"]
        values["standardise"] = values["standardise"] == "yes"
        return values | {"balance": CosineBalance(total_steps, *ends)}

    def parameters(self, student: int, teacher: int | None) -> dict[str, int]:
        """Flag and value → parameters of the classifiers, of two layers each: l_φ, and g_θ where its input is known."""
        inputs = [width for width in (student, teacher) if width is not None]
        classes = self.pseudo_classes
        return {f"--pseudo_classes={classes}": sum(width * classes + classes**2 for width in inputs)}

    def for_dry_run(self) -> "BsslSettings":
        """The same with few pseudo-classes."""
        return dataclasses.replace(self, pseudo_classes=min(self.pseudo_classes, 64))

    def check(self, chosen: bool) -> None:
        """Raises:
        ConfigError: `ablation` and `balance` contradict each other, or `ablation` is set for another method.
        """
        if 0 < self.temperature < _LOWEST_TEMPERATURE:
            raise ConfigError(
                f"--temperature={self.temperature}: give 0 for the usual one, or at least {_LOWEST_TEMPERATURE}."
            )
        if not chosen and self.ablation != "full":
            raise ConfigError(
                f"--ablation={self.ablation} is a row of BSSL's ablation, but --method is another one: drop one of "
                "them (a single stage: --stages=2)."
            )
        if self.ablation == "joint" and self.balance != "auto":
            raise ConfigError(
                f"--balance={self.balance} contradicts --ablation=joint, which has no similarity loss: drop one of "
                "them."
            )
        if self.similarity == "logits" and self.similarity_map != "auto":
            raise ConfigError(
                f"--similarity_map={self.similarity_map} maps features, but --similarity=logits compares none: drop "
                "one of them."
            )
        if self.ablation == "similarity" and self.balance == "cosine":
            raise ConfigError(
                "--balance=cosine contradicts --ablation=similarity, whose λ is constant: use --ablation=balancing."
            )
