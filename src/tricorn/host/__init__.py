"""What a process is made of: the application's manifest, its settings, and the contexts that register with it.

Names are imported when they are first used: who only reads the manifest (the supervisor) loads no wire and no gRPC.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tricorn.host.host import Host
    from tricorn.host.manifest import Manifest, ManifestError, find_manifest, load_manifest, resolve
    from tricorn.host.process import Process
    from tricorn.host.settings import Settings

__all__ = ["Host", "Manifest", "ManifestError", "Process", "Settings", "find_manifest", "load_manifest", "resolve"]

_WHERE = {"Host": "host", "Process": "process", "Settings": "settings"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"tricorn.host.{_WHERE.get(name, 'manifest')}"), name)
