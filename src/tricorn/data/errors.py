"""What can be wrong with the database itself, said so that the reader knows what to do next."""


class DataError(Exception):
    """The database cannot be prepared, started or reached.

    Args:
        what: what went wrong, one sentence.
        where: the folder, file, server or setting it is about.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str, remedy: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  what to do: {remedy}")
        self.what = what
        self.where = where
        self.remedy = remedy
