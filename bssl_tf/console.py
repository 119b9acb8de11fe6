"""What the entry points share: the console, and errors shown as a sentence, not a stack.

Text that is printed may come from a file of somebody else. So control characters are escaped wherever text is shown,
and Rich's markup means nothing, but for a styled word at the very beginning of a message: ``[bold green]done[/]: …``.
"""

import codecs
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from absl import app, flags, logging
from rich.console import Console
from rich.text import Text

from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import is_disk_full
from bssl_tf.flag_errors import flag_error

_LONGEST_NAME = 300
_SPECIAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_STYLED_WORD = re.compile(r"\[(bold|bold green|bold yellow|bold red|yellow)\]([^\[\]]*)\[/\]")
_IN_ASCII = str.maketrans({"×": "x", "→": "->", "…": "...", "–": "-", "·": ".", "λ": "lambda", "±": "+-", "≤": "<="})


def printable(text: str) -> str:
    r"""Text with all characters escaped that move the cursor, change colours or the direction of reading, or are none.

    Line breaks and tabs stay. Bytes of a file name that are no UTF-8, which Python holds as lone surrogates, are shown
    as ``\udc..``.
    """
    return _SPECIAL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class PlainConsole(Console):
    """Rich's console, for text that may come from anywhere."""

    def __init__(self, **options: Any):
        super().__init__(**{"highlight": False, "soft_wrap": True, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """All texts pass here, those in the cells of tables too."""
        styled = _STYLED_WORD.match(text)
        if styled is None:
            return super().render_str(printable(text), **options)
        rest = super().render_str(printable(text[styled.end() :]), **options)
        return Text.assemble((printable(styled[2]), styled[1]), rest)


console = PlainConsole(width=None if sys.stdout is not None and sys.stdout.isatty() else 120)


def _in_few_characters(error: UnicodeError) -> tuple[str, int]:
    """For terminals that lack a character: the nearest in ASCII, else its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    replaced = error.object[error.start : error.end].translate(_IN_ASCII)
    return replaced.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("bssl_tf.nearest", _in_few_characters)


def _open_closed_streams() -> None:
    """Streams that were closed before the start, as by ``>&-``, take what is written and show it to nobody."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 – for as long as the process runs


def _accept_any_text() -> None:
    """From now on no character that the terminal lacks ends the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="bssl_tf.nearest")


def run_entry_point(
    main: Callable[[], None], usage: str, expand: Callable[[list[str]], list[str]] | None = None
) -> None:
    """Parse flags, run `main`, and turn expected errors into one clear line and exit status 1 or 2.

    Bad settings exit with 2, anything that failed later with 1, an interruption with 130, SIGTERM with 143.

    Args:
        main: the command.
        usage: text of ``--help``.
        expand: rewrites the arguments before they are parsed.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            _fail(f"unexpected argument {argv[1]!r}: every setting is a flag, --name=value. See --help.", 2)
        logging.set_verbosity(logging.ERROR)
        try:
            main()
        except ConfigError as error:
            _fail(str(error), 2)
        except (UserError, FloatingPointError) as error:
            _fail(str(error), 1)
        except BrokenPipeError:
            _stop_writing()
        except OSError as error:
            _fail(_disk_full(error) if is_disk_full(error) else str(error), 1)
        except UnicodeEncodeError as error:
            _fail(f"{error.object[:_LONGEST_NAME]} has bytes that are no UTF-8, and cannot be used: rename it.", 1)
        except Exception as error:
            if not is_disk_full(error):
                raise
            _fail(_disk_full(error), 1)
        except Terminated:
            _fail("stopped by SIGTERM. What was finished is kept, and the same command goes on from there.", 143)
        except KeyboardInterrupt:
            _fail("interrupted. What was finished is kept, and the same command goes on from there.", 130)

    _open_closed_streams()
    _accept_any_text()
    sys.modules["__main__"].__doc__ = usage
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith("bssl_tf") else ():
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # so that --help shows it
    try:
        arguments = [_with_home(argument) for argument in sys.argv[1:]]
        arguments = arguments if expand is None else expand(arguments)
    except ConfigError as error:
        _fail(str(error), 2)
    with _sigterm_as_interruption():
        app.run(guarded, argv=[sys.argv[0], *arguments], flags_parser=_parsed)


def _with_home(argument: str) -> str:
    """--workdir=~/runs as the user means it: shells replace a ~ only where a word begins."""
    flag, equals, value = argument.partition("=")
    if flag.startswith("-") and (value == "~" or value.startswith("~/")):
        return flag + equals + os.path.expanduser(value)
    return argument


def _parsed(arguments: list[str]) -> list[str]:
    """What is left of a command line, its flags being parsed."""
    try:
        return flags.FLAGS(arguments)
    except (flags.Error, UnicodeDecodeError) as error:
        _fail(flag_error(error, flags.FLAGS), 2)
    except SystemExit:
        raise SystemExit(0) from None  # --help was asked for and given; absl would say 1
    except BrokenPipeError:
        _stop_writing()


def _stop_writing() -> NoReturn:
    """Nobody reads any more, as with ``| head``: not worth a word, and nothing may be written at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(128 + signal.SIGPIPE) from None


class Terminated(KeyboardInterrupt):
    """SIGTERM, where nothing else waits for it: whatever ends in order on Ctrl-C does so now, too."""


@contextlib.contextmanager
def _sigterm_as_interruption() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _disk_full(error: Exception) -> str:
    return (
        f"the disk is full ({' '.join(str(error).split())[:400]}). Free some space, and give the same command again: "
        "what is finished is kept."
    )


def program(name: str) -> str:
    """How to call another command (train, convert, evaluate): as this one was called, by its script or installed."""
    by_script = sys.argv[0].endswith(".py") and Path(f"{name}.py").is_file()
    return f"python {name}.py" if by_script else f"bssl-{name}"


def print_error(message: str) -> None:
    """Print an error on stderr."""
    PlainConsole(stderr=True).print(f"[bold red]error:[/] {message}")


def print_warning(message: str) -> None:
    """Print a warning on stderr."""
    PlainConsole(stderr=True).print(f"[bold yellow]warning:[/] {message}")


def _fail(message: str, status: int) -> NoReturn:
    print_error(message)
    sys.exit(status)
