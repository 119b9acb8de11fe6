"""The self-supervised methods, one file each, and what a command line can know of them.

A method is a module of this folder with one class derived from `Method` (`methods.common.base`). Its file's name is its
name on the command line. Its constructor names what it needs:

- without a default, one or more of `INGREDIENTS`, which the training code provides;
- keyword arguments with a default: its options, settable by ``--method_options=name=value,…``.

All of that is read from the source, without running it: to say that an option is unknown takes no TensorFlow.

    description("moco_v2").options          # {'queue_size': 4096, 'momentum': 0.99, …}
    create("moco_v2", {"momentum": 0.9}, backbone=backbone, total_steps=1000)
"""

import ast
import functools
import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bssl_tf.methods
from bssl_tf.errors import ConfigError

INGREDIENTS = ("backbone", "teacher", "teacher_head", "num_classes", "total_steps")
"""What a constructor may ask for: the network to train, the frozen teacher (pixels → features), its pretrained head
(features → outputs), the number of classes of labelled data, the steps of the phase."""

_NO_METHODS = ("registry", "__main__")
_OWN_FLAGS = {"bssl": "--temperature, --pseudo_classes, …: see --help"}


@dataclass(frozen=True)
class Description:
    """What is known of a method from its source.

    Attributes:
        name: its name on the command line.
        class_name: its class.
        summary: first line of its module's docstring.
        needs: ingredients that its constructor asks for.
        options: name → default of its other keyword arguments.
        multi_crop: whether it learns from local crops beside the two large ones.
        compares_images: whether its loss compares the images of a batch, which then cannot be split.
    """

    name: str
    class_name: str
    summary: str
    needs: tuple[str, ...]
    options: dict[str, Any]
    multi_crop: bool = False
    compares_images: bool = False

    @property
    def title(self) -> str:
        """Its name for people: what the summary begins with."""
        return self.summary.partition(":")[0].partition(",")[0]

    @property
    def trains_teachers(self) -> bool:
        """Whether it can do without a teacher."""
        return "teacher" not in self.needs

    def parsed(self, text: str, flag: str = "--method_options") -> dict[str, Any]:
        """Options from ``name=value,name=value``, in the types of their defaults.

        Raises:
            ConfigError: an unknown name or a value of another type; says which there are.
        """
        if text and self.name in _OWN_FLAGS:
            raise ConfigError(f"{flag}={text}: {self.name} has flags of its own ({_OWN_FLAGS[self.name]}).")
        options = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = part.partition("=")
            if not equals or name not in self.options:
                known = ", ".join(f"{name}={default}" for name, default in self.options.items())
                raise ConfigError(
                    f"{flag}={text}: {self.name} has no option {part!r}. It has (with defaults): {known}."
                )
            options[name] = _in_type_of(self.options[name], value, f"{flag}={text}")
        return options


def method_names() -> tuple[str, ...]:
    """Names of all methods."""
    modules = pkgutil.iter_modules(bssl_tf.methods.__path__)
    return tuple(sorted(module.name for module in modules if not module.ispkg and module.name not in _NO_METHODS))


def teacher_method_names() -> tuple[str, ...]:
    """Names of the methods that can train a float teacher."""
    return tuple(name for name in method_names() if description(name).trains_teachers)


@functools.cache
def description(name: str) -> Description:
    """Read a method's source.

    Raises:
        ConfigError: there is no such method.
        TypeError: its file does not have the form described above.
    """
    if name not in method_names():
        raise ConfigError(f"There is no method {name!r}. There are: {', '.join(method_names())}.")
    path = _source(name)
    module = ast.parse(path.read_text())
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and _is_method(node)]
    if len(classes) != 1:
        raise TypeError(f"{path.name} must define one class derived from Method, but defines {len(classes)}.")
    constants = {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in classes[0].body
        if isinstance(statement, ast.Assign) and statement.targets[0].id in ("multi_crop", "compares_images")
    }
    needs, options = _arguments(classes[0], path.name)
    summary = (ast.get_docstring(module) or "").partition("\n")[0]
    return Description(name, classes[0].name, summary, needs, options, **constants)


def create(name: str, options: dict[str, Any], **ingredients):
    """Build a method, giving it those ingredients that it asks for.

    Args:
        name: of the method.
        options: as `Description.parsed` gives them.
        **ingredients: any of `INGREDIENTS`, at least those in ``description(name).needs``.
    """
    described = description(name)
    method_class = getattr(importlib.import_module(f"bssl_tf.methods.{name}"), described.class_name)
    return method_class(**{need: ingredients[need] for need in described.needs}, **options)


def _source(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.py")


def _is_method(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Method" for base in node.bases)


def _arguments(node: ast.ClassDef, file: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    constructor = next((each for each in node.body if getattr(each, "name", "") == "__init__"), None)
    if constructor is None:
        raise TypeError(f"{file}: {node.name} has no __init__ that says what it needs.")
    arguments = constructor.args
    needs = [argument.arg for argument in arguments.args[1:]]
    options = {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            needs.append(argument.arg)
        elif argument.arg != "name":
            options[argument.arg] = ast.literal_eval(default)
    unknown = sorted(set(needs) - set(INGREDIENTS))
    if unknown:
        raise TypeError(f"{file}: {', '.join(unknown)} need a default; only {', '.join(INGREDIENTS)} are provided.")
    return tuple(needs), options


def _in_type_of(default: Any, text: str, flag: str) -> Any:
    kind = type(default)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{flag}: {text!r} must be true or false.")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{flag}: {text!r} is no {kind.__name__}.") from None
