"""One exception for everything a user can mend."""


class CRSError(ValueError):
    """Wrong input. The message is one sentence that names the file (and row) and the remedy."""
