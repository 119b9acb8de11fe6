"""Opens a folder of photos in the browser: see what the network sees, find, label, and take a classifier home.

    bssl-atlas --model=photos.tflite --photos=PATH

Prints an address to open, with a secret in it. Everything is saved as it happens, in --session: stop with Ctrl-C, or
kill it, and start again. Needs the extra: pip install 'bssl_tf[atlas]'.
"""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from bssl_tf.console import console, print_error, printable, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.files import check_folder_writable
from bssl_tf.locks import alone, lock_in
from bssl_tf.native_logs import import_tensorflow

if TYPE_CHECKING:
    from bssl_tf.atlas.atlas import Atlas
    from bssl_tf.atlas.progress import Progress


_HOST_HELP = "Address to listen on; 0.0.0.0 and :: stand for all. The default is reached from this machine only."


def main() -> None:
    arguments = flags.FLAGS
    model, photos = Path(arguments.model), Path(arguments.photos)
    if not arguments.host.strip():
        raise ConfigError("--host= is empty: name an address of this machine, or leave it out.")
    if not model.is_file():
        raise ConfigError(f"--model={model} is no file: give a .tflite file that convert.py has written.")
    if not photos.is_dir():
        raise ConfigError(f"--photos={photos} is no folder.")
    session = Path(arguments.session or f"{photos.resolve().name}.atlas")
    if session.exists() and not session.is_dir():
        raise ConfigError(f"--session={session} is no folder.")
    if session.resolve().is_relative_to(photos.resolve()):
        raise ConfigError(f"--session={session} lies among the photos: name a folder elsewhere.")
    check_folder_writable(session, "--session")
    _require_extra()
    from bssl_tf.atlas.belonging import claim
    from bssl_tf.atlas.web.server import Address, serve

    address = Address(arguments.host, arguments.port)
    if not address.is_loopback:
        console.print("[yellow]warning:[/] --host lets other machines in; whoever sees the address sees the photos.")

    def open_atlas(progress: "Progress") -> "Atlas":
        import_tensorflow()  # takes seconds, while the page is there already
        from bssl_tf.atlas.atlas import Atlas, Settings

        return Atlas(Settings(model, photos, session, arguments.workdir), progress)

    name = printable(photos.resolve().name)
    with alone(lock_in(session), f"--session={session}", "name another --session"):
        before = claim(session, photos, is_named=bool(arguments.session))
        if before is not None:
            console.print(f"[yellow]warning:[/] --session={session} was of {before}: now it is of {photos.resolve()}.")
        whole = serve(open_atlas, name, address, arguments.browser, _show)
    if not whole:
        sys.exit(1)
    console.print(f"stopped: everything is kept in {session}")


def _show(line: str) -> None:
    if line.startswith("error: "):
        print_error(line.removeprefix("error: "))
    else:
        console.print(f"[bold green]open[/]: {line}", markup=True)


def _require_extra() -> None:
    from bssl_tf.search.nearest import require_faiss

    try:
        if importlib.util.find_spec("openTSNE") is None:
            raise ImportError(name="openTSNE")
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"The atlas needs {error.name}, which is not installed: pip install 'bssl_tf[atlas]'."
        ) from None
    require_faiss()


def run() -> None:
    """Console script ``bssl-atlas``."""
    flags.DEFINE_string("model", None, "A .tflite file that gives features.", required=True)
    flags.DEFINE_string("photos", None, "The folder of photos, nested or not.", required=True)
    flags.DEFINE_string("session", "", "Folder for labels, features and exports; NAME-OF-PHOTOS.atlas here, if empty.")
    flags.DEFINE_string("workdir", "", "The run that the model came from; empty: the folder in which the model lies.")
    flags.DEFINE_string("host", "127.0.0.1", _HOST_HELP)
    flags.DEFINE_integer("port", 0, "Port to listen on; 0: any that is free.", lower_bound=0, upper_bound=65535)
    flags.DEFINE_boolean(
        "browser", True, "Open the page in the browser; its address then shows in the list of processes."
    )
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
