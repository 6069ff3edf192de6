"""The ways a command fails on purpose."""


class InputError(Exception):
    """The user's input is wrong: one line that says what, where, and what to do.

    The command line prints the message and exits with code 2.
    """


class MissingBackendError(InputError):
    """A program or optional package that the command needs is not installed."""
