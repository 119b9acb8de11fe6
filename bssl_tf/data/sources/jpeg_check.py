"""Finds JPEG files whose pixels are not all there.

Decoders fill what is missing with grey and say nothing: after a corrupt place, behind an end that was put on a file cut
short, or where the header claims more than there is. libjpeg-turbo does notice, and simplejpeg passes its warnings on.
"""

import re

import simplejpeg

_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file")
_BYTES_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_BEGIN, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_SMALLEST_SIDE = 8


def jpeg_damage(content: bytes) -> str:
    """What is wrong with the compressed pixels of a JPEG image, in the decoder's words; empty if nothing is.

    Bytes that some cameras add before the end, all zeros or all ones, are nothing wrong. Other pictures may follow.
    """
    try:
        simplejpeg.decode_jpeg(
            content,
            "GRAY",
            fastdct=True,
            min_height=_SMALLEST_SIDE,
            min_width=_SMALLEST_SIDE,
            min_factor=1,
            strict=True,
        )
    except ValueError as error:
        damage = str(error)
        if damage.startswith(_DAMAGE) and not _is_padding(content, damage):
            return damage
    return ""


def _is_padding(content: bytes, damage: str) -> bool:
    left_over = _BYTES_LEFT_OVER.search(damage)
    if left_over is None:
        return False
    end = content.find(_END, _begin_of_scan(content))
    return len(set(content[max(end - int(left_over[1]), 0) : end])) <= 1


def _begin_of_scan(content: bytes) -> int:
    """Where the header of the first picture ends, whose segments may hold a picture of their own."""
    place = len(_BEGIN)
    while content[place : place + 2] != _SCAN and place < len(content):
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return place
