"""Finds photos that look alike, without labels, by a file that convert.py has written.

    bssl-index --model=photos.tflite --photos=PATH --index=photos.index
    bssl-index --model=photos.tflite --photos=PATH --index=photos.index --query=photo.jpg --sheet=hits.png

The first call runs all photos through the network and reports how many of the nearest by exact cosine 1-bit codes find.
The index is refused once the network or the photos are others. Needs Faiss: pip install 'bssl_tf[search]'.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bssl_tf.config.flags import refuse_without_effect
from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.files import check_writable
from bssl_tf.locks import alone, lock_beside
from bssl_tf.native_logs import import_tensorflow

if TYPE_CHECKING:
    from bssl_tf.data.sources.folder import FolderSource
    from bssl_tf.search.photo_index import PhotoIndex

SHEETS = (".png", ".jpg", ".jpeg")


def main() -> None:
    """Run the command."""
    arguments = flags.FLAGS
    model, root, path = Path(arguments.model), Path(arguments.photos), Path(arguments.index)
    queries = [Path(query) for query in arguments.query]
    if not queries:
        refuse_without_effect(dict.fromkeys(("sheet", "hits"), "needs --query"))
    _check(model, root, queries)
    check_writable(path, "--index")
    if arguments.sheet:
        _check_sheet(Path(arguments.sheet), root, queries)
    import_tensorflow()
    from bssl_tf.search.contact_sheet import write_contact_sheet
    from bssl_tf.search.nearest import require_faiss
    from bssl_tf.search.photo_index import PhotoIndex, check_replaceable, open_photos
    from bssl_tf.search.photo_search import find_alike, summary_of

    require_faiss()
    photos, scan = open_photos(root)
    if scan.skipped:
        console.print(scan.text(), markup=False)
    if path.exists() and not arguments.rebuild:
        index = PhotoIndex.load(path)
        index.check_fresh(model, photos)
        console.print(f"{path}: {len(index.paths)} photos")
    else:
        with alone(lock_beside(path), f"--index={path}", "name another --index"):
            check_replaceable(path)
            index = _build(model, photos)
            index.save(path)
        first, *more = summary_of(index)
        console.print("\n".join([f"[bold green]done[/]: {path}, {first}", *more]))
    if not queries:
        return
    rows = find_alike(index, model, root, queries, arguments.hits)
    for row in rows:
        lines = [f"  {score:>9}  {file}" for file, score in row.hits]
        console.print("\n".join([f"{row.query.name}, nearest by {row.title}:", *lines]), markup=False)
    if arguments.sheet:
        write_contact_sheet(Path(arguments.sheet), rows)
        console.print(f"[bold green]done[/]: {arguments.sheet}")


def _check(model: Path, root: Path, queries: list[Path]) -> None:
    if not model.is_file():
        raise ConfigError(f"--model={model} is no file: give a .tflite file that convert.py has written.")
    if not root.is_dir():
        raise ConfigError(f"--photos={root} is no folder.")
    for query in queries:
        if not query.is_file():
            raise ConfigError(f"--query={query} is no file.")


def _check_sheet(sheet: Path, photos: Path, queries: list[Path]) -> None:
    if sheet.suffix.lower() not in SHEETS:
        raise ConfigError(f"--sheet={sheet} must end in {', '.join(SHEETS[:-1])} or {SHEETS[-1]}.")
    if sheet.resolve().is_relative_to(photos.resolve()):
        raise ConfigError(
            f"--sheet={sheet} lies in --photos={photos} and would be one of the photos: write it elsewhere."
        )
    if sheet.resolve() in [query.resolve() for query in queries]:
        raise ConfigError(f"--sheet={sheet} is a --query: write it elsewhere.")
    check_writable(sheet, "--sheet")


def _build(model: Path, photos: "FolderSource") -> "PhotoIndex":
    from bssl_tf.search.photo_index import build

    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=photos.num_examples)
        return build(model, photos, progress=lambda done: bar.update(task, completed=done))


def run() -> None:
    """Console script ``bssl-index``."""
    flags.DEFINE_string("model", None, "A .tflite file that gives features.", required=True)
    flags.DEFINE_string("photos", None, "The folder of photos, nested or not.", required=True)
    flags.DEFINE_string("index", "photos.index", "Where the index is, or will be.")
    flags.DEFINE_boolean("rebuild", False, "Make the index anew.")
    flags.DEFINE_multi_string("query", [], "An image to find the like of; repeatable.")
    flags.DEFINE_integer("hits", 8, "Photos to find for each query.", lower_bound=1, upper_bound=100)
    flags.DEFINE_string("sheet", "", "Picture of the hits to write (.png or .jpg).")
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
