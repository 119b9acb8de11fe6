"""Settings of BSSL (`bssl_tf.methods.bssl`): the options of a method that has flags of its own."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from bssl_tf.config.setting import setting
from bssl_tf.errors import ConfigError


@dataclass(frozen=True)
class BsslSettings:
    METHOD: ClassVar[str] = "bssl"
    compares_images: ClassVar[bool] = False

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

    @property
    def default_stages(self) -> str:
        return "1,2" if self.ablation == "full" else "2"

    @property
    def optimizer_multipliers(self) -> dict[str, float]:
        """g_θ has an optimizer of its own only where its learning rate is another one."""
        multiplier = self.target_learning_rate_multiplier
        return {"target_optimizer": multiplier} if self.train_target and multiplier != 1.0 else {}

    def resolved(self) -> dict[str, Any]:
        """Name → value of all that shapes the result; `ablation` and `balance` replaced by what they stand for."""
        values = dataclasses.asdict(self)
        del values["ablation"], values["balance"]
        values["balance_start"], values["balance_end"] = self.balance_ends
        return values

    def options(self, total_steps: int) -> dict[str, Any]:
        """Keyword arguments of `bssl_tf.methods.bssl.Bssl` for a stage of so many steps."""
        from bssl_tf.balancing import CosineBalance  # imports TensorFlow

        values = self.resolved()
        ends = values.pop("balance_start"), values.pop("balance_end")
        del values["target_learning_rate_multiplier"]
        return values | {"balance": CosineBalance(total_steps, *ends)}

    def for_dry_run(self) -> "BsslSettings":
        """The same with few pseudo-classes."""
        return dataclasses.replace(self, pseudo_classes=min(self.pseudo_classes, 64))

    def check(self, chosen: bool) -> None:
        """Raises:
        ConfigError: `ablation` and `balance` contradict each other, or `ablation` is set for another method.
        """
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
        if self.ablation == "similarity" and self.balance == "cosine":
            raise ConfigError(
                "--balance=cosine contradicts --ablation=similarity, whose λ is constant: use --ablation=balancing."
            )
