"""The photos of a folder by number, and nothing else of the disk."""

import io
import os
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bssl_tf.data.sources.folder_scan import ScanReport, printable, scan_folder
from bssl_tf.data.sources.image_files import UnreadableImage, read_image
from bssl_tf.errors import UserError

THUMBNAIL = 96
PICTURE = 1024
_OUTSIDE = "symbolic link to a file outside of the folder"
_MISSING = (128, 128, 128)


class PhotoFolder:
    """Readable photos below a folder, numbered in the order of their paths.

    Files are given out as pictures that this program has decoded and encoded anew, never as they are; a link that leads
    out of the folder is not followed.

    Args:
        root: the folder.
        cache_dir: where the verdicts on files are kept; None: nowhere.

    Attributes:
        root: with all links resolved.
        paths: relative to it.
        report: what was skipped, with reasons.

    Raises:
        UserError: no such folder, or no photo in it.
    """

    def __init__(self, root: Path, cache_dir: Path | None = None):
        self.root = Path(os.path.realpath(root))
        report = scan_folder(self.root, cache_dir, progress=False)
        inside = {path: info for path, info in report.images.items() if self._is_inside(path)}
        outside = [(path, _OUTSIDE) for path in report.images if path not in inside]
        self.report: ScanReport = replace(report, images=inside, skipped=sorted([*report.skipped, *outside]))
        if not inside:
            raise UserError(f"No file in {root} is an image that can be read.\n{self.report.text()}")
        self.paths = tuple(inside)
        self.numbers = {path: number for number, path in enumerate(self.paths)}

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, number: int) -> str:
        """Relative path as text that can be shown."""
        return printable(self.paths[number])

    def file(self, number: int) -> Path:
        """The file of a photo.

        Raises:
            UserError: there is no such photo, or it has become a link that leads out of the folder.
        """
        if not 0 <= number < len(self.paths):
            raise UserError(f"There is no photo {number}.")
        if not self._is_inside(self.paths[number]):
            raise UserError(f"{self.name(number)} is a {_OUTSIDE}.")
        return self.root / self.paths[number]

    def thumbnail(self, number: int, size: int = THUMBNAIL) -> bytes:
        """A square cut from the middle; WebP. Grey where the file cannot be read any more."""
        try:
            image = Image.fromarray(read_image(self.file(number), 3, short_side=size))
        except UnreadableImage:
            image = Image.new("RGB", (size, size), _MISSING)
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        smooth = Image.Resampling.BICUBIC if side > size // 2 else Image.Resampling.NEAREST
        return _encoded(image.crop((left, top, left + side, top + side)).resize((size, size), smooth))

    def picture(self, number: int, longest: int = PICTURE) -> bytes:
        """The whole photo, at most so many pixels wide and high; WebP.

        Raises:
            UserError: it cannot be read any more.
        """
        try:
            image = Image.fromarray(read_image(self.file(number), 3, short_side=longest))
        except UnreadableImage as reason:
            raise UserError(f"{self.name(number)} cannot be read any more: {reason}.") from None
        image.thumbnail((longest, longest))
        return _encoded(image)

    def _is_inside(self, path: str) -> bool:
        real = os.path.realpath(os.path.join(self.root, path))
        return os.path.commonpath([real, self.root]) == str(self.root)


def _encoded(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", quality=82, method=2)
    return content.getvalue()
