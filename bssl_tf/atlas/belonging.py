"""Which folder of photos a session belongs to: its labels are of paths in that folder, and of no other's."""

import os
from pathlib import Path

from bssl_tf.atlas.database import Database, check_room
from bssl_tf.errors import ConfigError

FILE = "session.sqlite"
_FACT = "photos"


def claim(session: Path, photos: Path, is_named: bool) -> Path | None:
    """Note the folder of photos in the session.

    Args:
        session: its folder, which exists.
        photos: the folder of photos.
        is_named: whether the user named the session. It may then be of another folder, as photos may have moved; the
            session is of the new one from then on.

    Returns:
        The folder that the session was of, where that is another one.

    Raises:
        ConfigError: nobody named the session, and it is of another folder.
        UserError: its file is no session.
        DiskFull: there is no room for one.
    """
    check_room(session)
    root = os.path.realpath(photos)
    database = Database(session / FILE)
    try:
        with database.transaction():
            noted = database.fact(_FACT)
            before = None if noted is None else os.fsdecode(noted)
            if before not in (None, root) and not is_named:
                raise ConfigError(
                    f"--photos={photos}: the session {session} holds labels of {before}, not of {root}. Name another"
                    f" --session for these photos. If they are the same ones in a new place, give --session={session}."
                )
            database.note(_FACT, os.fsencode(root))  # bytes: the same in every encoding of the system
    finally:
        database.close()
    return None if before in (None, root) else Path(before)
