"""Reads what a method's class says of itself from its source, without running it: that takes no TensorFlow.

A class may derive from another method, in the same file or imported; what it does not define it inherits. A value may
be a literal, a constant of a module, or arithmetic of these.
"""

import ast
import importlib.util
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bssl_tf.errors import ConfigError

BASE = ("bssl_tf.methods.common.base", "Method")
_ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


class MethodFileError(ConfigError):
    """A method's file does not have the form that `bssl_tf.methods.registry` describes."""


@dataclass(frozen=True)
class Argument:
    """A keyword argument with a default: an option.

    Attributes:
        default: its value.
        kind: the type of its values: bool, int, float or str.
        limits: smallest and largest allowed value, of ``Annotated[int, Limits(1, 10)]``; None: none are declared.
        choices: the allowed values, of ``Literal["one", "another"]``; empty: any.
    """

    default: Any
    kind: type
    limits: tuple[float, float] | None = None
    choices: tuple[Any, ...] = ()


class Module:
    """A module's source.

    Args:
        name: dotted name.
        path: its file.

    Raises:
        MethodFileError: the file cannot be read or parsed.
    """

    def __init__(self, name: str, path: Path):
        self.name, self.path = name, path
        try:
            self._tree = ast.parse(path.read_bytes())
        except SyntaxError as error:
            raise MethodFileError(f"{path}:{error.lineno}: {error.msg}.") from None
        except (OSError, ValueError) as error:
            raise MethodFileError(f"{path}:1: cannot be read ({error}).") from None

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (ast.get_docstring(self._tree) or "").partition("\n")[0]

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self._tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def _assigned(self) -> dict[str, ast.expr]:
        return dict(assignments(self._tree.body))

    @cached_property
    def _imported(self) -> dict[str, tuple[str, str]]:
        """Name here → (module, name there); the latter is empty where the module itself is meant."""
        names = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name] = (alias.name, "")
            elif isinstance(node, ast.ImportFrom):
                package = self.name.rsplit(".", node.level)[0] if node.level else ""
                module = ".".join(filter(None, (package, node.module)))
                for alias in node.names:
                    names[alias.asname or alias.name] = (module, alias.name)
        return names

    def origin(self, expression: ast.expr) -> tuple[str, str] | None:
        """(module, name) of what a name such as ``Method`` or ``base.Method`` stands for; None if that is unclear."""
        if isinstance(expression, ast.Name):
            if expression.id in self.classes or expression.id in self._assigned:
                return self.name, expression.id
            module, name = self._imported.get(expression.id, ("", ""))
            return (module, name) if name else None
        if isinstance(expression, ast.Attribute):
            written = ast.unparse(expression.value)
            module, name = self._imported.get(written, ("", ""))
            return (f"{module}.{name}" if name else module, expression.attr) if module else None
        return None

    def value(self, expression: ast.expr) -> Any:
        """The value of a literal, a constant's name, or arithmetic of these.

        Raises:
            MethodFileError: it takes running the module to know the value.
        """
        try:
            return ast.literal_eval(expression)
        except (ValueError, TypeError):
            pass
        try:
            if isinstance(expression, ast.BinOp) and type(expression.op) in _ARITHMETIC:
                return _ARITHMETIC[type(expression.op)](self.value(expression.left), self.value(expression.right))
            if isinstance(expression, ast.UnaryOp) and type(expression.op) in _ARITHMETIC:
                return _ARITHMETIC[type(expression.op)](self.value(expression.operand))
        except (ArithmeticError, TypeError) as error:
            raise self.error(expression, f"{ast.unparse(expression)} cannot be computed ({error})") from None
        module, name = self.definition(expression)
        if module is not None and name in module._assigned:
            return module.value(module._assigned[name])
        raise self.error(expression, f"{ast.unparse(expression)} is neither a literal nor the name of a constant")

    def definition(self, expression: ast.expr) -> tuple["Module | None", str]:
        """The module that defines what a name stands for, and the name there; None if that cannot be found.

        A package that only hands a name on, such as `bssl_tf.methods`, is passed through.
        """
        origin = self.origin(expression)
        while origin is not None:
            module = self if origin[0] == self.name else find_module(origin[0])
            if module is None or origin[1] in module.classes or origin[1] in module._assigned:
                return module, origin[1]
            origin = module._imported.get(origin[1])
        return None, ""

    def error(self, node: ast.AST, message: str) -> MethodFileError:
        return MethodFileError(f"{self.path}:{getattr(node, 'lineno', 1)}: {message}.")


@cache
def find_module(name: str) -> Module | None:
    """A module's source, found without importing the module itself; None if there is none.

    Raises:
        MethodFileError: the file cannot be read or parsed.
    """
    try:
        spec = importlib.util.find_spec(name) if name else None
    except (ImportError, ValueError):
        return None
    except Exception as error:  # of the code of a package around it
        raise MethodFileError(f"{name}: the package around it cannot be imported: {error!r}.") from None
    return Module(name, Path(spec.origin)) if spec and spec.origin and spec.origin.endswith(".py") else None


class MethodClass:
    """A class with those above it, as far as they are methods: first the class itself, last the one under `Method`."""

    def __init__(self, lineage: list[tuple[Module, ast.ClassDef]]):
        self.lineage = lineage

    @classmethod
    def of(cls, module: Module, name: str) -> "MethodClass | None":
        """None if the class does not derive from `Method`."""
        if name not in module.classes:
            return None
        node = module.classes[name]
        for base in node.bases:
            above, parent = module.definition(base)
            if above is None:
                continue
            if (above.name, parent) == BASE:
                return cls([(module, node)])
            found = cls.of(above, parent)
            if found:
                return cls([(module, node), *found.lineage])
        return None

    @property
    def name(self) -> str:
        return self.lineage[0][1].name

    def constant(self, name: str, default: Any) -> Any:
        """The value of a class attribute, annotated or not, its own or inherited."""
        for module, node in self.lineage:
            values = dict(assignments(node.body))
            if name in values:
                return module.value(values[name])
        return default

    def takes(self, function: str, argument: str) -> bool:
        """Whether a function, its own or inherited, takes an argument by position; True if no class here defines it."""
        found = next(filter(None, (_function(node, function) for _, node in self.lineage)), None)
        given = found and found.args
        return not given or bool(given.vararg) or argument in {each.arg for each in given.posonlyargs + given.args}

    def arguments(self) -> tuple[tuple[str, ...], dict[str, Argument]]:
        """Arguments of the constructor without a default, and those with one.

        ``**kwargs`` stand for the arguments of the class above.

        Raises:
            MethodFileError: there is no constructor, or a default cannot be read.
        """
        needs: list[str] = []
        options: dict[str, Argument] = {}
        for module, node in self.lineage:
            if (constructor := _function(node, "__init__")) is None:
                continue
            given = constructor.args
            positional = given.posonlyargs + given.args
            missing: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
            pairs = [*zip(positional, [*missing, *given.defaults], strict=True)][1:]  # without self
            for argument, default in [*pairs, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:
                if argument.arg in needs or argument.arg in options or argument.arg == "name":
                    continue
                if default is None:
                    needs.append(argument.arg)
                else:
                    value = module.value(default)
                    options[argument.arg] = _argument(module, argument.annotation, value)
            if given.kwarg is None:
                return tuple(needs), options
        if not needs:
            module, node = self.lineage[0]
            raise module.error(node, f"{node.name} has no __init__ that says what it needs")
        return tuple(needs), options


def the_method_of(module: Module) -> MethodClass:
    """The one class of a module that derives from `Method` and that no other class of the module derives from.

    Raises:
        MethodFileError: there is none, or more than one.
    """
    found = [each for name in module.classes if (each := MethodClass.of(module, name))]
    parents = {node.name for each in found for where, node in each.lineage[1:] if where is module}
    final = [each for each in found if each.name not in parents]
    if len(final) == 1:
        return final[0]
    line = final[1].lineage[0][1].lineno if final else 1
    names = f" ({', '.join(each.name for each in final)})" if final else ""
    raise MethodFileError(
        f"{module.path}:{line}: a method's file defines one class derived from Method, and this one defines "
        f"{len(final)}{names}."
    )


def assignments(body: list[ast.stmt]) -> list[tuple[str, ast.expr]]:
    """(name, value) of all ``name = value`` and ``name: type = value``."""
    pairs = []
    for statement in body:
        if isinstance(statement, ast.Assign):
            pairs += [(target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            pairs.append((statement.target.id, statement.value))
    return pairs


def _function(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == name), None)


def _argument(module: Module, annotation: ast.expr | None, default: Any) -> Argument:
    """An option from its annotation: ``int``, ``Annotated[int, Limits(1, 10)]``, or ``Literal["one", "another"]``."""
    if not isinstance(annotation, ast.Subscript):
        return Argument(default, _kind(annotation, default))
    written = ast.unparse(annotation.value).rpartition(".")[2]
    parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if written == "Literal":
        return Argument(default, type(default), choices=tuple(module.value(part) for part in parts))
    if written != "Annotated":
        return Argument(default, type(default))
    limits = None
    for part in parts[1:]:
        if isinstance(part, ast.Call) and ast.unparse(part.func).rpartition(".")[2] == "Limits":
            if len(part.args) != 2 or part.keywords:
                raise module.error(part, f"{ast.unparse(part)} must be Limits(LOW, HIGH)")
            limits = module.value(part.args[0]), module.value(part.args[1])
    return Argument(default, _kind(parts[0], default), limits)


def _kind(annotation: ast.expr | None, default: Any) -> type:
    """As annotated, since ``float = 1`` takes 0.5 too; else the default's own type."""
    kinds = {"bool": bool, "int": int, "float": float, "str": str}
    written = annotation.id if isinstance(annotation, ast.Name) else ""
    return kinds.get(written, type(default))
