"""A method and the options it is used with, whichever way they were given."""

from dataclasses import dataclass
from typing import Any, Protocol

from bssl_tf.methods.registry import Description, description


class MethodGroup(Protocol):
    """A group of settings that are the options of one method: flags of its own, instead of ``--method_options``.

    A dataclass that is a field of `config.training.Config` and has this form is used for the method that it names.
    """

    METHOD: str
    """The method's name."""

    @property
    def default_stages(self) -> str:
        """What ``--stages=auto`` stands for."""

    @property
    def compares_images(self) -> bool:
        """Whether the loss compares the images of a batch with these settings."""

    @property
    def optimizer_multipliers(self) -> dict[str, float]:
        """Argument of the method's `compile` → learning rate of that optimizer, relative to the main one's."""

    def options(self, total_steps: int) -> dict[str, Any]:
        """Keyword arguments of the method's constructor, for a phase of so many steps."""

    def parameters(self, student: int, teacher: int | None) -> dict[str, int]:
        """As `ChosenMethod.parameters`."""

    def resolved(self) -> dict[str, Any]:
        """Name → value of all that shapes the result; shorthands replaced by what they stand for."""

    def check(self, chosen: bool) -> None:
        """Raises ConfigError where the settings contradict each other, or need the method and it is not chosen."""


@dataclass(frozen=True)
class ChosenMethod:
    """A method with its options.

    Attributes:
        name: of the method.
        text: its options, as ``NAME=VALUE,NAME=VALUE``.
        flag: the flag that gave `text`.
        group: the settings that are its options, where it has flags of its own.
    """

    name: str
    text: str = ""
    flag: str = "--method_options"
    group: MethodGroup | None = None

    @property
    def description(self) -> Description:
        """Raises ConfigError if there is no such method."""
        return description(self.name)

    @property
    def default_stages(self) -> str:
        return "1,2" if self.group is None else self.group.default_stages

    @property
    def compares_images(self) -> bool:
        """Whether its loss compares the images of a batch, which then cannot be split."""
        if self.group is not None:
            return self.group.compares_images
        return self.description.compares_images_with(self.description.parsed(self.text, self.flag))

    @property
    def comparing_option(self) -> str:
        """Option that makes it compare images, and whose 0 would not; empty: there is none."""
        return self.description.comparing_option if self.group is None else ""

    @property
    def optimizer_multipliers(self) -> dict[str, float]:
        """Further optimizers: argument of `compile` → learning rate, relative to the main one's."""
        return {} if self.group is None else self.group.optimizer_multipliers

    def needs(self, ingredient: str) -> bool:
        """Whether its constructor requires one of `methods.registry.INGREDIENTS`."""
        return ingredient in self.description.needs

    def options(self, total_steps: int) -> dict[str, Any]:
        """Keyword arguments of its constructor, besides the ingredients."""
        return self.description.parsed(self.text, self.flag) if self.group is None else self.group.options(total_steps)

    def parameters(self, student: int, teacher: int | None) -> dict[str, int]:
        """What trains beside the student, as far as a setting can make it large: to refuse what cannot fit.

        Args:
            student: length of its features.
            teacher: length of the teacher's; None where it is not known yet.

        Returns:
            Flag and value → parameters that are there because of it, at least. Empty for methods without a group.
        """
        return {} if self.group is None else self.group.parameters(student, teacher)

    def resolved(self) -> dict[str, Any]:
        """Settings that shape its result, by the name they are saved under."""
        if self.group is not None:
            return self.group.resolved()
        name = self.flag.removeprefix("--")
        return {name: self.description.options | self.description.parsed(self.text, self.flag)}

    def check(self) -> None:
        """Raises ConfigError: there is no such method, or one of its options is wrong."""
        self.description.parsed(self.text, self.flag)
