"""Finds out which files of a folder are images that can be read, before any training starts.

Every file that is not hidden is decoded once. The verdicts can be kept in a cache file, so that the
next scan decodes only what is new or changed. Whatever is skipped is counted and named in a
`ScanReport`; nothing is left out silently.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bssl_tf.data.sources.base import DataError
from bssl_tf.data.sources.image_files import NOW_UNREADABLE, ImageInfo, UnreadableImage, check_image
from bssl_tf.files import write_text

_CACHE_VERSION = 4  # raise it when image_files.py comes to other verdicts
_THREADS = min(16, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class ScanReport:
    """What a scan found.

    Attributes:
        root: the folder.
        images: readable files by path relative to the root, with "/" between folders, sorted.
        skipped: (relative path, reason) of everything else, sorted.
        unread: folders beside the root that were not looked into, because the root and another one are the splits.
    """

    root: Path
    images: dict[str, ImageInfo]
    skipped: list[tuple[str, str]]
    unread: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Skipped files by reason (without its details), most frequent first."""
        return dict(Counter(reason.split(":")[0] for _, reason in self.skipped).most_common())

    def text(self, most: int = 10) -> str:
        """The report for people: totals, reasons, and the first ``most`` skipped files. No markup."""
        lines = [f"{self.root}: {len(self.images)} images read, {len(self.skipped)} files skipped"]
        lines += [f"  {count} × {reason}" for reason, count in self.counts().items()]
        lines += [f"    {printable(path)} ({reason})" for path, reason in self.skipped[:most]]
        if len(self.skipped) > most:
            lines.append(f"    … and {len(self.skipped) - most} more")
        if self.unread:
            names = ", ".join(f"{printable(name)}/" for name in self.unread)
            lines.append(f"  not read: {names} beside {self.root.name}/; move what is to be learned from into it")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write all skipped files, a line each: relative path, tab, reason."""
        lines = [f"{printable(name)}\t{reason}\n" for name, reason in self.skipped]
        write_text(path, "".join(lines))


def scan_folder(root: Path, cache_dir: Path | None = None, progress: bool = True) -> ScanReport:
    """Decode every file below ``root`` that is not hidden.

    Args:
        root: the folder.
        cache_dir: where verdicts are kept between scans; None: nowhere.
        progress: show a progress bar.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"--dataset names the folder {root}, but {_what_is_there(root)}. Give folder:PATH.")
    files, skipped = {}, []
    for path, stamp_or_reason in _walk(root):
        if isinstance(stamp_or_reason, str):
            skipped.append((path, stamp_or_reason))
        else:
            files[path] = stamp_or_reason
    cache_file = None if cache_dir is None else Path(cache_dir) / f"folder_scan_{_digest(root)}.json"
    cached = _read_cache(cache_file)
    verdicts = {path: verdict for path, (stamp, verdict) in cached.items() if files.get(path) == stamp}
    unknown = [path for path in files if path not in verdicts]
    try:
        verdicts.update(_check_all(root, unknown, progress))  # one by one
    finally:  # an interrupted scan of a large folder goes on where it stopped
        if cache_file is not None and unknown:
            _write_cache(cache_file, {path: (files[path], verdict) for path, verdict in verdicts.items()})
    images = {path: ImageInfo(*info) for path, info in sorted(verdicts.items()) if not isinstance(info, str)}
    skipped += [(path, reason) for path, reason in verdicts.items() if isinstance(reason, str)]
    return ScanReport(root, images, sorted(skipped))


def _walk(root: Path) -> Iterator[tuple[str, object]]:
    """(relative path, [size, time of change]) of each file; (relative path, reason) where the way ends."""
    folders: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while folders:
        relative, ancestors = folders.pop()
        try:
            entries = sorted(os.scandir(os.path.join(root, relative)), key=lambda entry: entry.name)
        except OSError as error:
            if not relative:
                raise DataError(f"The folder {root} cannot be listed: {error.strerror}.") from None
            yield relative, f"folder {NOW_UNREADABLE}: {error.strerror}"
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{relative}/{entry.name}" if relative else entry.name
            try:
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real in ancestors:
                        yield path, "symbolic link to a folder that contains it"
                    else:
                        folders.append((path, (*ancestors, real)))
                elif entry.is_file():
                    status = entry.stat()
                    yield path, [status.st_size, status.st_mtime_ns]
                else:
                    yield path, "broken symbolic link" if entry.is_symlink() else "not a regular file"
            except OSError as error:
                yield path, f"{NOW_UNREADABLE}: {error.strerror}"


def _check_all(root: Path, paths: list[str], progress: bool) -> Iterator[tuple[str, object]]:
    def check(path: str) -> tuple[str, object]:
        try:
            return path, list(check_image(os.path.join(root, path)))
        except UnreadableImage as reason:
            return path, str(reason)

    columns = (TextColumn("Checking images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not (progress and paths), transient=True) as bar:
        task = bar.add_task("", total=len(paths))
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(check, path) for path in paths]
            try:
                for future in as_completed(futures):
                    bar.advance(task)
                    yield future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _read_cache(cache_file: Path | None) -> dict:
    if cache_file is None or not cache_file.exists():
        return {}
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{cache_file} is not a cache of image checks ({error}). Delete it and start again.") from None
    files = content.get("files") if isinstance(content, dict) and content.get("version") == _CACHE_VERSION else None
    if not isinstance(files, dict) or not all(map(_is_entry, files.values())):
        return {}  # of another version, or of no use: all is checked again
    return files


def _is_entry(entry: object) -> bool:
    """Whether it is what `scan_folder` keeps of a file: [[size, time of change], reason or ImageInfo]."""
    if not (isinstance(entry, list) and len(entry) == 2):
        return False
    verdict = entry[1]
    return isinstance(verdict, str) or (
        isinstance(verdict, list)
        and len(verdict) == len(ImageInfo._fields)
        and all(isinstance(value, int) for value in verdict)
    )


def _write_cache(cache_file: Path, files: dict) -> None:
    lasting = {path: (stamp, verdict) for path, (stamp, verdict) in files.items() if not _may_pass(verdict)}
    write_text(cache_file, json.dumps(dict(version=_CACHE_VERSION, files=lasting)))


def _may_pass(verdict: object) -> bool:
    return isinstance(verdict, str) and verdict.startswith(NOW_UNREADABLE)


def printable(path: str) -> str:
    """A path as text for a terminal or a UTF-8 file: line breaks and undecodable bytes are escaped."""
    safe = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in safe)


def _digest(root: Path) -> str:
    return hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()


def _what_is_there(path: Path) -> str:
    return "that is a file" if path.exists() else "there is no such folder"
