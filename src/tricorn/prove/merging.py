"""Makes one recording of the parts that the processes wrote."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tricorn.prove.errors import ProveError
from tricorn.prove.framing import framed
from tricorn.prove.recording import Recording
from tricorn.v1.recording_pb2 import RecordingEnd, RecordingEntry


@dataclass(slots=True)
class Merged:
    """What became of the parts. ``broken`` names those that broke off, with where."""

    calls: int = 0
    bytes: int = 0
    dropped: int = 0
    too_large: int = 0
    full: bool = False
    broken: list[str] = field(default_factory=list)


def merge(parts: Sequence[Path], out: Path) -> Merged:
    """Writes the calls of all parts into ``out``, in order of their start, with mode 0600; what was there is replaced in one step.

    A part that broke off gives what it has.

    Raises:
        ProveError: There is no part, one is none, or ``out`` cannot be written.
    """
    if not parts:
        raise ProveError(
            "no process has recorded anything", remedy="see `tricorn status`: a process must be up for some seconds"
        )
    recordings = [Recording.open(part) for part in sorted(parts)]
    merged = Merged()
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
    merged.calls = len(places)
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        merged.bytes = _write(scratch, recordings, sorted(places), merged)
        scratch.replace(out)
    except OSError as error:
        raise ProveError(
            f"{out} cannot be written: {error.strerror}",
            remedy=f"choose another file; the parts are in {parts[0].parent}",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return merged


def _write(out: Path, recordings: Sequence[Recording], places: Sequence[tuple[int, int, int]], merged: Merged) -> int:
    header = recordings[0].header
    for other in recordings[1:]:
        header.processes.extend(name for name in other.header.processes if name not in header.processes)
        if other.header.start_time.ToNanoseconds() < header.start_time.ToNanoseconds():
            header.start_time.CopyFrom(other.header.start_time)
    ends = [recording.end.reason for recording in recordings if recording.end is not None]
    end = RecordingEnd(
        reason=RecordingEnd.SIZE if merged.full else max(ends, default=RecordingEnd.STOPPED),
        calls=merged.calls,
        dropped=merged.dropped,
        too_large=merged.too_large,
    )
    files = [recording.path.open("rb") for recording in recordings]
    try:
        with os.fdopen(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            size = file.write(framed(RecordingEntry(header=header).SerializeToString()))
            for _, number, position in places:
                size += file.write(recordings[number].entry_at(files[number], position))
            return size + file.write(framed(RecordingEntry(end=end).SerializeToString()))
    finally:
        for each in files:
            each.close()
