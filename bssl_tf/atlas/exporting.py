"""Labels as files: a CSV table, and a folder tree that ``--dataset=folder:`` reads."""

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.atlas.predicting import LabelledPhotos
from bssl_tf.atlas.store import Label
from bssl_tf.data.sources.folder_scan import printable
from bssl_tf.errors import UserError
from bssl_tf.files import room_for, write_text

FORMS = ("symlinks", "copies")
_MARK = ".bssl_atlas"
"""Lies in folders that this program has written, and may therefore replace."""
_LONGEST_NAME = 255
"""Bytes of a file name on the usual file systems."""


def write_csv(path: Path, labels: Mapping[str, Label], classes: Mapping[int, str]) -> None:
    """Write all labels, a row each: path, class, source; UTF-8, sorted by path."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(("path", "class", "source"))
    rows.writerows((printable(name), classes[label.class_id], label.source) for name, label in sorted(labels.items()))
    write_text(path, table.getvalue())


def write_tree(folder: Path, photos: PhotoFolder, labelled: LabelledPhotos, form: str = "symlinks") -> int:
    """Write the labelled photos as CLASS/NAME, or as train/CLASS/NAME and test/CLASS/NAME where labels are held out.

    Args:
        folder: what this function wrote there before is replaced once all is written; anything else is not touched.
        photos: the photos.
        labelled: which, which of them are held out, and the names of their classes.
        form: "symlinks", or "copies" for folders that go to other machines.

    Returns:
        The number of photos.

    Raises:
        UserError: `folder` holds something else, or there are fewer than two classes.
        DiskFull: there is no room; what was there before still is.
    """
    if form not in FORMS:
        raise UserError(f"A tree is of {' or '.join(FORMS)}, not of {form!r}.")
    if not labelled.enough:
        raise UserError("A folder of classes needs two classes, each with two labelled photos or more.")
    _check_ours(folder)
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        _write_tree(new, photos, labelled, form)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return len(labelled.photos)


def _write_tree(folder: Path, photos: PhotoFolder, labelled: LabelledPhotos, form: str) -> None:
    (folder / _MARK).touch()
    splits = labelled.held_out.any()
    for photo, place, held_out in zip(labelled.photos.tolist(), labelled.classes, labelled.held_out, strict=True):
        parts = ("test" if held_out else "train",) if splits else ()
        target = folder.joinpath(*parts, labelled.class_names[place], _flat(photos.paths[photo]))
        file = photos.file(photo)
        with room_for(target, file.stat().st_size if form == "copies" else 0):
            target.parent.mkdir(parents=True, exist_ok=True)
            if form == "symlinks":
                target.symlink_to(file)
            else:
                shutil.copyfile(file, target)


def _check_ours(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not (folder / _MARK).exists()):
        raise UserError(f"{folder} was not written by this program: move it away.")


def _flat(path: str) -> str:
    """One name for a path, so that equal names of different folders stay apart."""
    name = path.replace("%", "%25").replace("/", "%2F")
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return digest + os.path.splitext(path)[1][:16]
