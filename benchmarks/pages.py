"""Writes what was measured into README.md, docs/performance.md, docs/results.md and docs/atlas.md.

python -m benchmarks.pages
"""

from pathlib import Path

from benchmarks.methods.forms import DEFAULT_FORM, FORMS
from benchmarks.report import RESULTS, Result, Table
from bssl_tf.files import write_text

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"
PERFORMANCE, ACCURACY, ATLAS = DOCS / "performance.md", DOCS / "results.md", DOCS / "atlas.md"
INTRODUCTION = """\
# Performance

Written by `python -m benchmarks.pages` from `benchmarks/results/`. The machine is a virtual one, whose speed drifts by
a factor of two and more within minutes, with the load of its neighbours.

Ratios can be trusted where they are medians over rounds in which what is compared ran in turn. These are: *of it the
teacher*, *× float twin* and *× plain layers* of the step, and *× float32* of its variants; the ratios of *Step growth*;
*× ours, CPU* of *Step torch* (*× ours* is of wall time, of which other work on the machine takes from either); the
comparison of the pipeline with Pillow and torchvision. All other times, shares and ratios (*of the step*, *× floor*,
the steps of the pipeline) are of shortest or single timings. A part that is the difference of two of these may come out
negative: it is then too small to be seen."""
OF_ACCURACY = ("methods", "detection")
"""Results that say how good a network is, not what it costs; each between marks of its name in docs/results.md."""
OF_THE_ATLAS = ("labelling", "atlas")
"""Results that have marks of their own in docs/atlas.md."""

IN_BRIEF = ("random", "joint", "s2bnn", "simclr", "s2bnn_contrastive", DEFAULT_FORM, "supervised")
"""Forms in README.md, in this order; the teacher follows."""


def in_brief(folder: Path = RESULTS) -> str:
    """Markdown of the few rows that README.md shows of the comparison of methods."""
    full = Result.load(folder / "methods.json").tables[0]
    rows = {row[0]: row[:4] for row in full.rows}
    titles = [FORMS[key].title for key in IN_BRIEF]
    titles += [title for title in rows if title.startswith("teacher")]
    found = [rows[title] for title in titles if title in rows]
    return Table(full.title, ("network", *full.columns[1:4]), found).markdown()


def detection_in_brief(folder: Path = RESULTS) -> str:
    """Markdown of the average precisions that README.md shows: a row a backbone, a column a number of scenes."""
    full = Result.load(folder / "detection.json").tables[0]
    scenes = sorted({row[1] for row in full.rows})
    cells = {(row[0], row[1]): row[3] for row in full.rows}
    rows = [
        (name, *(cells.get((name, count), "") for count in scenes)) for name in dict.fromkeys(r[0] for r in full.rows)
    ]
    columns = ("backbone", *(f"AP %, {count} annotated scenes" for count in scenes))
    return Table(full.title, columns, rows).markdown()


def section(name: str, folder: Path = RESULTS) -> str:
    """Markdown of a saved result: its tables, and where they come from."""
    result = Result.load(folder / f"{name}.json")
    versions = ", ".join(f"{package} {number}" for package, number in result.versions.items())
    tables = [table.markdown() for table in result.tables]
    return "\n\n".join([*tables, f"`{result.command}`, {result.date}, {result.hardware}; {versions}."])


def between_marks(text: str, mark: str, new: str) -> str:
    """The text with something new between ``<!-- MARK: begin … -->`` and ``<!-- MARK: end -->``."""
    begin, end = f"<!-- {mark}: begin (python -m benchmarks.pages) -->", f"<!-- {mark}: end -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n\n{new}\n\n{end}{tail}"


def pages() -> dict[Path, str]:
    """Path → what it is to hold."""
    names = sorted(path.stem for path in RESULTS.glob("*.json"))
    accuracy = ACCURACY.read_text()
    for name in OF_ACCURACY:
        if name in names:
            accuracy = between_marks(accuracy, name, section(name))
    readme = README.read_text()
    if "methods" in names:
        readme = between_marks(readme, "methods", in_brief())
    if "detection" in names:
        readme = between_marks(readme, "detection", detection_in_brief())
    performance = [
        f"## {name.replace('_', ' ').capitalize()}\n\n{section(name)}"
        for name in names
        if name not in (*OF_ACCURACY, *OF_THE_ATLAS)
    ]
    atlas = ATLAS.read_text()
    for name in OF_THE_ATLAS:
        if name in names:
            atlas = between_marks(atlas, name, section(name))
    return {
        README: readme,
        PERFORMANCE: "\n\n".join([INTRODUCTION, *performance]) + "\n",
        ACCURACY: accuracy,
        ATLAS: atlas,
    }


if __name__ == "__main__":
    for path, text in pages().items():
        write_text(path, text)
