"""What a person can cause, and how a command ends with it."""

__all__ = ["RingwalkerError"]


class RingwalkerError(Exception):
    """Something that a person can cause or put right; the message is one line that says what.

    ``exit_code`` is that of the command which it ends: 2 where the work could not begin (a bad option,
    configuration or image) or what came of it could not be written, 1 where it was done and is wrong (data
    that differs, a device that broke a rule).
    """

    exit_code = 2
