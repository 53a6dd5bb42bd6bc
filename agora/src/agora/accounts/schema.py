"""The context's tables are Django's: its migrations, run by the platform as the owner role."""

import threading
from concurrent.futures import ThreadPoolExecutor

from django.core.management import call_command
from django.db import connections

from agora.accounts import framework

_lock = threading.Lock()


def migrate(url: str, schema: str) -> None:
    """Brings the tables up to date, as the owner that ``url`` names. Doing it again changes nothing.

    On a thread of its own, because Django refuses one with a running event loop.
    """
    framework.configure()
    with _lock, ThreadPoolExecutor(1, thread_name_prefix="django-migrate") as executor:
        executor.submit(_migrate, url).result()


def _migrate(url: str) -> None:
    framework.use(url)
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        connections.close_all()
