"""Makes one recording of the parts that the processes wrote."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tricorn.prove.errors import ProveError
from tricorn.prove.framing import framed
from tricorn.prove.recording import Recording
from tricorn.v1.recording_pb2 import RecordingEnd, RecordingEntry


@dataclass(slots=True)
class Merged:
    """What became of the parts. ``broken`` names those that broke off, with where; ``restarts`` counts by process those of who wrote."""

    calls: int = 0
    bytes: int = 0
    dropped: int = 0
    too_large: int = 0
    full: bool = False
    broken: list[str] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)


def merge(parts: Sequence[Path], out: Path, *, most_bytes: int) -> Merged:
    """Writes the calls of all parts into ``out``, in order of their start, with mode 0600; what was there is replaced in one step.

    A part that broke off gives what it has. The last calls are left out where ``out`` would become larger than ``most_bytes``.

    Raises:
        ProveError: There is nothing in any part, or ``out`` cannot be written.
    """
    merged, recordings = Merged(), []
    for part in parts:
        try:
            recordings.append(Recording.open(part))
        except ProveError as error:
            merged.broken.append(f"{part.stem}: {error.what}")
    if not recordings:
        raise ProveError(
            "; ".join(["no process has recorded anything", *merged.broken]),
            remedy="see `tricorn status`: a process must be up for some seconds",
        )
    recordings.sort(key=lambda recording: recording.header.start_time.ToNanoseconds())
    places: list[tuple[int, int, int]] = []
    for number, recording in enumerate(recordings):
        for position, call in recording.positions():
            places.append((call.start_time.ToNanoseconds(), number, position))
        if recording.broken:
            merged.broken.append(f"{recording.path.stem} {recording.broken}")
        if recording.end is not None:
            merged.dropped += recording.end.dropped
            merged.too_large += recording.end.too_large
            merged.full |= recording.end.reason == RecordingEnd.SIZE
    merged.restarts = _restarts(recordings)
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        merged.bytes = _write(scratch, recordings, sorted(places), merged, most_bytes)
        scratch.replace(out)
    except OSError as error:
        raise ProveError(
            f"{out} cannot be written: {error.strerror}",
            remedy=f"choose another file; the parts are in {parts[0].parent}",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return merged


def _restarts(recordings: Sequence[Recording]) -> dict[str, int]:
    """A process writes its own calls into one part from each of its starts; those of others it may write into several."""
    own: Counter[str] = Counter()
    for recording in recordings:
        writer = recording.path.stem.rsplit("-", 2)[0]
        own.update(name for name in recording.header.processes if name == writer)
    return {name: parts - 1 for name, parts in own.items() if parts > 1}


def _write(
    out: Path,
    recordings: Sequence[Recording],
    places: Sequence[tuple[int, int, int]],
    merged: Merged,
    most_bytes: int,
) -> int:
    header = recordings[0].header
    for other in recordings[1:]:
        header.processes.extend(name for name in other.header.processes if name not in header.processes)
    ends = [recording.end.reason for recording in recordings if recording.end is not None]
    end = RecordingEnd(
        reason=max(ends, default=RecordingEnd.STOPPED),
        calls=len(places),
        dropped=merged.dropped,
        too_large=merged.too_large,
    )
    room = most_bytes - len(framed(RecordingEntry(end=end).SerializeToString()))
    files = [recording.path.open("rb") for recording in recordings]
    try:
        with os.fdopen(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            size = file.write(framed(RecordingEntry(header=header).SerializeToString()))
            for _, number, position in places:
                entry = recordings[number].entry_at(files[number], position)
                if size + len(entry) > room:
                    merged.full = True
                    break
                size += file.write(entry)
                merged.calls += 1
            end.calls = merged.calls
            if merged.full:
                end.reason = RecordingEnd.SIZE
            return size + file.write(framed(RecordingEntry(end=end).SerializeToString()))
    finally:
        for each in files:
            each.close()
