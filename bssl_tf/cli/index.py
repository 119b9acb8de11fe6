"""Finds photos that look alike, without labels, by a file that convert.py has written.

    bssl-index --model=photos.tflite --photos=PATH --index=photos.index
    bssl-index --model=photos.tflite --photos=PATH --index=photos.index --query=photo.jpg --sheet=hits.png

The first call runs all photos through the network and tells how many of the nearest by exact cosine 1-bit codes find.
The index is refused once the network or the photos are others. Needs Faiss: pip install 'bssl_tf[search]'.
"""

from pathlib import Path

from absl import flags
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

_RECALL_AT = (1, 10, 100)


def main() -> None:
    arguments = flags.FLAGS
    model, root, path = Path(arguments.model), Path(arguments.photos), Path(arguments.index)
    queries = [Path(query) for query in arguments.query]
    if not model.is_file():
        raise ConfigError(f"--model={model} is no file: give a .tflite file that convert.py has written.")
    if not root.is_dir():
        raise ConfigError(f"--photos={root} is no folder.")
    for query in queries:
        if not query.is_file():
            raise ConfigError(f"--query={query} is no file.")
    import_tensorflow()
    from bssl_tf.search.nearest import require_faiss
    from bssl_tf.search.photo_index import PhotoIndex, open_photos

    require_faiss()
    photos, scan = open_photos(root)
    if scan.skipped:
        console.print(scan.text(), markup=False)
    if path.exists() and not arguments.rebuild:
        index = PhotoIndex.load(path)
        index.check_fresh(model, photos)
        console.print(f"{path}: {len(index.paths)} photos")
    else:
        index = _build(model, photos)
        index.save(path)
        _tell(index, path)
    if queries:
        _search(index, model, root, queries)


def _build(model: Path, photos: "FolderSource") -> "PhotoIndex":  # noqa: F821
    from bssl_tf.search.photo_index import build

    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=photos.num_examples)
        return build(model, photos, progress=lambda done: bar.update(task, completed=done))


def _tell(index: "PhotoIndex", path: Path) -> None:  # noqa: F821
    from bssl_tf.search.nearest import recall

    count, bits = index.features.shape
    console.print(
        f"[bold green]done[/]: {path}, {count} photos, {bits} features each; as floats {4 * bits} bytes a photo, as "
        f"codes {index.codes.shape[1]}"
    )
    for k in _RECALL_AT:
        if 10 * k < count:
            again = recall(index.features, index.codes, k, among=10 * k)
            console.print(
                f"recall@{k} of 1-bit codes against exact cosine: {recall(index.features, index.codes, k):.3f}; among "
                f"the first {10 * k} by code: {again:.3f}"
            )


def _search(index: "PhotoIndex", model: Path, root: Path, queries: list[Path]) -> None:  # noqa: F821
    from bssl_tf.deploy.codes import binary_codes
    from bssl_tf.search.contact_sheet import Row, write_contact_sheet
    from bssl_tf.search.nearest import by_cosine, by_hamming
    from bssl_tf.search.photo_index import features_of

    asked = features_of(model, queries)
    hits = flags.FLAGS.hits + 1  # one more, in case the query itself is among the photos
    cosine = by_cosine(index.features, asked, hits)
    hamming = by_hamming(index.codes, binary_codes(asked, index.centre), hits)
    rows = []
    for number, query in enumerate(queries):
        for found, title, form in ((cosine, "cosine", "{:.3f}"), (hamming, "codes", "{:.0f} bits")):
            pairs = zip(found.places[number], found.scores[number])
            named = [(root / index.paths[place], form.format(score)) for place, score in pairs]
            named = [(file, score) for file, score in named if file.resolve() != query.resolve()][: flags.FLAGS.hits]
            rows.append(Row(query, title, named))
            console.print(f"{query.name}, nearest by {title}:", markup=False)
            for file, score in named:
                console.print(f"  {score:>9}  {file}", markup=False)
    if flags.FLAGS.sheet:
        write_contact_sheet(Path(flags.FLAGS.sheet), rows)
        console.print(f"[bold green]done[/]: {flags.FLAGS.sheet}")


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
