"""Which images a phase was started with: noted in its folder, and compared before it goes on."""

import math
from typing import Any, NoReturn

from bssl_tf.data import Source
from bssl_tf.errors import ConfigError
from bssl_tf.files import read_json, write_json
from bssl_tf.runs import PhaseFolder
from bssl_tf.training.phases import NEW_WORKDIR


class ImagesChanged(ConfigError):
    """A phase was started with other images."""


def check_images(phase: PhaseFolder, images: Source, new_place: str = NEW_WORKDIR) -> None:
    """Refuse to go on with other images. Phases of earlier versions have no note, and go on.

    Args:
        phase: done or not, begun or not.
        images: of now.
        new_place: flag that names the folder of a new one, for the message.

    Raises:
        ImagesChanged: says how many there were and are, and what to do.
    """
    if not (phase.settings_file.exists() and phase.images_file.exists()):
        return
    then, now = read_json(phase.images_file, dict, _remedy(phase)), _facts(images)
    if then == now:
        return
    as_many, of_tfds = then.get("count") == now["count"], images.name.startswith("tfds:")
    if as_many and of_tfds and _is_streamed(then) != _is_streamed(now):
        _refuse_other_order(phase, images, new_place)
    change = f"{then.get('count')} training images, now there are {now['count']}"
    if as_many:
        change = f"as many training images ({now['count']}), but their names, sizes or times were others"
    raise ImagesChanged(
        f"{phase.path} was started with {change}. Restore the images of then to go on with that run, or name another "
        f"{new_place} to start a new one. If only times have changed (copied files, for instance), {_remedy(phase)}. "
        "Nothing was changed."
    )


def _refuse_other_order(phase: PhaseFolder, images: Source, new_place: str) -> NoReturn:
    now, then, remedy = "decoded in memory", "streamed", "give --decoded_cache_mb=0"
    if _is_streamed(_facts(images)):
        needed = math.ceil(images.num_examples * math.prod(side or 0 for side in images.image_shape) / 2**20)
        now, then, remedy = then, now, f"give --decoded_cache_mb={needed}, or more"
    raise ImagesChanged(
        f"{phase.path} was started with images that were {then}; now they are {now}, which gives them another order. "
        f"Most likely --decoded_cache_mb is another one than then: {remedy}, to go on with that run, or name another "
        f"{new_place} to start a new one. Nothing was changed."
    )


def note_images(phase: PhaseFolder, images: Source) -> None:
    """Note the images of a phase that begins, or that an earlier version has begun."""
    if not (phase.settings_file.exists() and phase.images_file.exists()):
        write_json(phase.images_file, _facts(images))


def _facts(images: Source) -> dict[str, Any]:
    return {"count": images.num_examples, "fingerprint": images.fingerprint}


def _is_streamed(facts: dict[str, Any]) -> bool:
    """Of images of tfds: the fingerprint is that of their files, which begins with the name; in memory, of pixels."""
    return str(facts.get("fingerprint")).startswith("tfds:")


def _remedy(phase: PhaseFolder) -> str:
    return f"delete {phase.images_file}: the images of now then count"
