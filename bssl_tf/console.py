"""What the three entry points share: the console, and errors shown as a sentence, not a stack."""

import sys
from typing import Callable

from absl import app, flags, logging
from rich.console import Console
from rich.markup import escape

from bssl_tf.errors import ConfigError, UserError

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def run_entry_point(
    main: Callable[[], None], usage: str, expand: Callable[[list[str]], list[str]] | None = None
) -> None:
    """Parse flags, run `main`, and turn expected errors into one clear line and exit status 1 or 2.

    Bad settings exit with 2, anything that failed later with 1, an interruption with 130.

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
        except (UserError, FloatingPointError, OSError) as error:
            _fail(str(error), 1)
        except KeyboardInterrupt:
            _fail("interrupted. What was finished is kept, and the same command goes on from there.", 130)

    sys.modules["__main__"].__doc__ = usage
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith("bssl_tf") else ():
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # so that --help shows it
    try:
        arguments = sys.argv[1:] if expand is None else expand(sys.argv[1:])
    except ConfigError as error:
        _fail(str(error), 2)
    app.run(guarded, argv=[sys.argv[0], *arguments])


def print_error(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {escape(message)}")


def print_warning(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold yellow]warning:[/] {escape(message)}")


def _fail(message: str, status: int) -> None:
    print_error(message)
    sys.exit(status)
