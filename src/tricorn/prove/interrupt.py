"""Ctrl-C in the middle of long work, of which what is known so far is to be said."""

import asyncio


def taken_back() -> None:
    """Makes a cancellation, which was the wish to end early, not end what is still to be said and tidied up."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
