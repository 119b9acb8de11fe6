"""Errors that the user can mend: shown as a sentence, without a stack."""


class UserError(ValueError):
    """Something stands in the way; the message says what, and what to do."""


class ConfigError(UserError):
    """A setting that cannot work; the message names the flag, the value and the remedy."""


class DiskFull(UserError):
    """The disk has no room for what is to be written; the message names the file, the need and the remedy."""


class Interrupted(Exception):
    """Training was stopped (Ctrl-C or SIGTERM) and saved its state.

    Attributes:
        status: with which a command is to exit, 128 and the number of the signal.
        agreed: whether all workers stop of their own accord, at the same step.
    """

    def __init__(self, message: str, status: int = 130, agreed: bool = False) -> None:
        super().__init__(message)
        self.status, self.agreed = status, agreed
