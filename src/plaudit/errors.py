"""The one exception for bad input: a single clear sentence with the way to mend it."""


class PlauditError(Exception):
    """Bad input or a broken surrounding (a file, an environment, a full disk).

    The message is one sentence that names the file, line or field and says how to mend it. The command line
    prints it and exits with a non-zero status; nothing already stored is lost.
    """
