"""The flagfiles that the package brings, by name.

    bssl-train --recipe=digits --workdir=runs/digits

``--recipe=digits`` is ``--flagfile=`` with the path of ``digits.cfg``, wherever the package is installed. The files are
those of ``flags/``, to which ``bssl_tf/recipes`` points in the repository; a wheel holds copies.
"""

from pathlib import Path

from absl import flags

from bssl_tf.errors import ConfigError

RECIPES = Path(__file__).parent.parent / "recipes"


def recipe_names() -> list[str]:
    """Names of all recipes, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.cfg"))


def recipe_path(name: str) -> Path:
    """The flagfile of a recipe.

    Raises:
        ConfigError: no recipe has this name; the message lists those that exist.
    """
    if name not in recipe_names():
        raise ConfigError(
            f"--recipe={name} does not exist; recipes are {', '.join(recipe_names())}. "
            "For a file of your own use --flagfile=PATH."
        )
    return RECIPES / f"{name}.cfg"


def define_recipe_flag() -> None:
    """Define ``--recipe``, so that ``--help`` lists it; `expand_recipes` acts on it before the flags are parsed."""
    names = ", ".join(recipe_names())
    flags.DEFINE_string("recipe", "", f"a flagfile of the package by its name ({names}); later flags override it")
    flags.register_validator(
        "recipe", lambda name: not name, "--recipe belongs on the command line; in a flagfile use --flagfile=PATH"
    )


def expand_recipes(arguments: list[str]) -> list[str]:
    """The command line with every ``--recipe=NAME`` replaced by ``--flagfile=PATH``, at the same place.

    Raises:
        ConfigError: a recipe that does not exist, or ``--recipe`` without a name.
    """
    expanded, rest = [], iter(arguments)
    for argument in rest:
        option, equals, name = argument.partition("=")
        if option in ("--recipe", "-recipe"):
            expanded.append(f"--flagfile={recipe_path(name if equals else next(rest, ''))}")
        elif argument == "--":
            return [*expanded, argument, *rest]
        else:
            expanded.append(argument)
    return expanded
