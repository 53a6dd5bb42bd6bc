"""What the commands that prove cannot do, in words for whoever typed them."""


class ProveError(Exception):
    """Something to be mended by the reader.

    Args:
        what: What is wrong and with what; one sentence.
        remedy: What to do about it; one sentence.
    """

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(f"{what}\n{remedy}")
        self.what = what
        self.remedy = remedy
