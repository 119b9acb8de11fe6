"""Finds methods by name, says what each needs and which options it has, and builds them.

A method is a module with one class derived from `Method` (`methods.common.base`): a file of this folder, whose name is
its name on the command line, or a module of anybody's package, named in full (``--method=my_package.my_module``). Its
constructor says what it needs:

- without a default, one or more of `INGREDIENTS`, which the training code provides;
- keyword arguments with a default: its options, settable by ``--method_options=name=value,…``, with their limits
  (`methods.common.limits`).

All of that is read from the source, without running it (`methods.source`): to say that an option is unknown takes no
TensorFlow.

    description("moco_v2").options          # {'queue_size': 4096, 'momentum': 0.99, …}
    create("moco_v2", {"momentum": 0.9}, backbone=backbone, total_steps=1000)
"""

import functools
import importlib
import math
import pkgutil
from dataclasses import dataclass
from typing import Any

import bssl_tf.methods
from bssl_tf.errors import ConfigError
from bssl_tf.methods.source import Argument, MethodFileError, find_module, the_method_of

INGREDIENTS = ("backbone", "teacher", "teacher_head", "num_classes", "total_steps")
"""What a constructor may require: the network to train, the frozen teacher (pixels → features), its pretrained head
(features → outputs), the number of classes of labelled data, the steps of the phase."""

_NO_METHODS = ("registry", "source", "__main__")


@dataclass(frozen=True)
class Description:
    """A method as its source describes it.

    Attributes:
        name: its name on the command line.
        module: its module.
        class_name: its class.
        summary: first line of its module's docstring.
        needs: ingredients that its constructor requires.
        arguments: its other keyword arguments.
        multi_crop: whether it learns from local crops beside the two large views.
        compares_images: whether its loss compares the images of a batch, which then cannot be split.
        comparing_option: the option that weighs what compares them; empty: there is none.
        options_are_flags: whether its options are flags of train.py, and not part of ``--method_options``.
        takes_cached_features: whether its `loss_terms` can be given features of the teacher that are known already.
    """

    name: str
    module: str
    class_name: str
    summary: str
    needs: tuple[str, ...]
    arguments: dict[str, Argument]
    multi_crop: bool
    compares_images: bool
    comparing_option: str
    options_are_flags: bool
    takes_cached_features: bool

    @property
    def options(self) -> dict[str, Any]:
        """Name → default of its options."""
        return {name: argument.default for name, argument in self.arguments.items()}

    @property
    def title(self) -> str:
        """Its name for people: what the summary begins with."""
        return self.summary.partition(":")[0].partition(",")[0] or self.name

    @property
    def trains_teachers(self) -> bool:
        """Whether it can do without a teacher."""
        return "teacher" not in self.needs

    def compares_images_with(self, options: dict[str, Any]) -> bool:
        """Whether its loss compares the images of a batch with these options, and defaults for the others."""
        weight = (self.options | options).get(self.comparing_option)
        return self.compares_images and weight != 0

    def parsed(self, text: str, flag: str = "--method_options") -> dict[str, Any]:
        """Options from ``name=value,name=value``, in the types of the constructor's arguments.

        Raises:
            ConfigError: an unknown name or a value of another type; says which there are.
        """
        if text and self.options_are_flags:
            flags = ", ".join(f"--{name}" for name in list(self.arguments)[:2])
            raise ConfigError(f"{flag}={text}: {self.name} has flags of its own ({flags}, …: see --help).")
        options = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = part.partition("=")
            if not equals or name not in self.arguments:
                existing = ", ".join(f"{name}={default}" for name, default in self.options.items())
                raise ConfigError(
                    f"{flag}={text}: {self.name} has no option {part!r}. It has (with defaults): {existing or 'none'}."
                )
            options[name] = _value(self.arguments[name], value, f"{flag}={text}")
        return options


def method_names() -> tuple[str, ...]:
    """Names of the methods of this package whose files can be read (see `unreadable_methods`)."""
    return tuple(name for name in _files() if name not in unreadable_methods())


def teacher_method_names() -> tuple[str, ...]:
    """Names of those that can train a float teacher."""
    return tuple(name for name in method_names() if description(name).trains_teachers)


def unreadable_methods() -> dict[str, str]:
    """Name → what is wrong, with file and line, of methods of this package that cannot be used."""
    broken = {}
    for name in _files():
        try:
            description(name)
        except MethodFileError as error:
            broken[name] = str(error)
    return broken


@functools.cache
def description(name: str) -> Description:
    """Read a method's source.

    Args:
        name: of a method of this package, or of a module of another one.

    Raises:
        ConfigError: there is no such method.
        MethodFileError: its file does not have the form described above; names file and line.
    """
    own = name in _files()
    module = find_module(f"bssl_tf.methods.{name}" if own else name) if own or "." in name else None
    if module is None:
        raise ConfigError(
            f"There is no method {name!r}. There are: {', '.join(method_names())}; or name a module of your own that "
            "Python can import, such as my_package.my_module."
        )
    found = the_method_of(module)
    needs, arguments = found.arguments()
    if unknown := sorted(set(needs) - set(INGREDIENTS)):
        where, node = found.lineage[0]
        raise where.error(
            node, f"{', '.join(unknown)} of {found.name} need a default; only {', '.join(INGREDIENTS)} are provided"
        )
    return Description(
        name,
        module.name,
        found.name,
        module.summary,
        needs,
        arguments,
        multi_crop=bool(found.constant("multi_crop", False)),
        compares_images=bool(found.constant("compares_images", False)),
        comparing_option=str(found.constant("comparing_option", "")),
        options_are_flags=bool(found.constant("options_are_flags", False)),
        takes_cached_features=found.takes("loss_terms", "cached_features"),
    )


def method_class(name: str) -> type:
    """The class of a method; imports its module and with it TensorFlow."""
    described = description(name)
    return getattr(importlib.import_module(described.module), described.class_name)


def create(name: str, options: dict[str, Any], **ingredients: Any) -> Any:
    """Build a method, giving it those ingredients that it needs.

    Args:
        name: of the method.
        options: as `Description.parsed` gives them.
        **ingredients: any of `INGREDIENTS`, at least those in ``description(name).needs``.
    """
    return method_class(name)(**{need: ingredients[need] for need in description(name).needs}, **options)


def _files() -> tuple[str, ...]:
    modules = pkgutil.iter_modules(bssl_tf.methods.__path__)
    return tuple(sorted(module.name for module in modules if not module.ispkg and module.name not in _NO_METHODS))


def _value(argument: Argument, text: str, flag: str) -> Any:
    """A value of an option from its text, within its limits."""
    if argument.kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{flag}: {text!r} must be true or false.")
        return text.lower() == "true"
    if argument.kind not in (int, float, str):
        raise ConfigError(f"{flag}: an option of type {argument.kind.__name__} cannot be set here.")
    try:
        value: Any = argument.kind(text)
    except ValueError:
        raise ConfigError(f"{flag}: {text!r} is no {argument.kind.__name__}.") from None
    if argument.choices and value not in argument.choices:
        raise ConfigError(f"{flag}: {text!r}: choose one of {', '.join(map(str, argument.choices))}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{flag}: {text!r} is no finite number.")
    if argument.limits is not None and not argument.limits[0] <= float(value) <= argument.limits[1]:
        low, high = argument.limits
        raise ConfigError(f"{flag}: {text!r} is out of range: give {low:g} to {high:g}.")
    return value
