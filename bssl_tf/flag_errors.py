"""What absl says of a flag that it cannot read, as one sentence with flag, value and remedy."""

import difflib

from absl import flags

_ALIKE = 0.6
_NUMBERS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def flag_error(error: Exception, registry: flags.FlagValues) -> str:
    """A sentence on an error of parsing.

    Args:
        error: of `absl.flags`, or of reading a flagfile.
        registry: the flags that there are.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        return _unknown(error.flagname, error.flagvalue, registry)
    if isinstance(error, flags.IllegalFlagValueError):
        return _illegal(str(error), error.__context__, registry)
    if isinstance(error, UnicodeDecodeError):
        return f"--flagfile: the file is no {error.encoding} text: it must hold one flag a line, --name=value."
    message = str(error)
    if isinstance(error, flags.CantOpenFlagFileError):
        return f"--flagfile: {message.rpartition(': [')[2].partition('] ')[2] or message}. Name a file of flags."
    name = message.rpartition(" ")[2]
    if message.startswith("Missing value for flag"):
        return f"{name} has no value: give {name}=VALUE, {_accepted(name.lstrip('-'), registry)}."
    return f"{message}. See --help."


def _unknown(name: str, argument: str, registry: flags.FlagValues) -> str:
    shown = argument if argument.lstrip("-").startswith(name) else f"--{name}"
    alike = difflib.get_close_matches(name, _names(registry), n=3, cutoff=_ALIKE)
    hint = f"did you mean {' or '.join(f'--{known}' for known in alike)}? " if alike else ""
    return f"{shown}: there is no flag --{name}{': ' if hint else '. '}{hint}See --help."


def _illegal(message: str, cause: BaseException | None, registry: flags.FlagValues) -> str:
    given = message.removeprefix("flag ")
    name = given.removeprefix("--").partition("=")[0]
    if name not in registry:
        return f"{message}. See --help."
    if given == f"--{name}=None: Flag --{name} must have a value other than None.":
        return f"--{name} is not set: {registry[name].help}"
    if cause is None or not given.endswith(f": {cause}"):
        return given  # of a validator, which has its own words
    return f"{given.removesuffix(f': {cause}')}: give {_accepted(name, registry)}."


def _accepted(name: str, registry: flags.FlagValues) -> str:
    if name not in registry:
        return "see --help"
    flag = registry[name]
    if choices := getattr(flag.parser, "enum_values", None):
        return f"one of {', '.join(choices)}"
    kind = flag.flag_type()
    if limits := _limits(flag.parser):
        return f"{_NUMBERS.get(kind, 'a number')} of {limits}"
    return _NUMBERS.get(kind, "see --help")


def _limits(parser: flags.ArgumentParser) -> str:
    low, high = getattr(parser, "lower_bound", None), getattr(parser, "upper_bound", None)
    if low is None or high is None:
        return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""
    return f"{low} to {high}"


def _names(registry: flags.FlagValues) -> list[str]:
    """All flags of the program, and not those that absl adds for itself."""
    names = ["flagfile", "help"]
    for module, defined in registry.flags_by_module_dict().items():
        for flag in defined if not module.startswith("absl") else ():
            names += [flag.name, f"no{flag.name}"] if flag.boolean else [flag.name]
    return names
