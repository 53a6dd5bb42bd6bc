"""Recordings: files of real calls of a contract that can be read without the application.

What is in one says `tricorn/v1/recording.proto`. A file is made with mode 0600: it holds what users sent.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from tricorn.prove.errors import ProveError
from tricorn.prove.framing import BrokenOff, entries, framed
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry, RecordingHeader

FORMAT = "tricorn-recording"
VERSION = 1


def header_for(contract: str, methods: Sequence[str], *, sample: int, process: str) -> RecordingHeader:
    """The header of a recording that begins now.

    Raises:
        KeyError: No generated module that was imported declares the contract.
    """
    service = descriptor_pool.Default().FindServiceByName(contract)
    header = RecordingHeader(format=FORMAT, version=VERSION, contract=contract, sample=sample, processes=[process])
    header.methods.extend(methods or [method.name for method in service.methods])
    header.start_time.GetCurrentTime()
    for file in _with_imports(service.file):
        file.CopyToProto(header.files.file.add())
    return header


def _with_imports(file: FileDescriptor) -> list[FileDescriptor]:
    """The file and all that it imports, each after its own imports."""
    found: dict[str, FileDescriptor] = {}

    def visit(each: FileDescriptor) -> None:
        if each.name not in found:
            for dependency in each.dependencies:
                visit(dependency)
            found.setdefault(each.name, each)

    visit(file)
    return list(found.values())


class RecordingWriter:
    """Writes a new recording.

    Raises:
        OSError: The file cannot be made, for example because it exists.
    """

    def __init__(self, path: Path, header: RecordingHeader) -> None:
        self.path = path
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        self.calls = 0
        self.bytes = 0
        self._put(RecordingEntry(header=header).SerializeToString())
        self.header_bytes = self.bytes
        self._file.flush()

    def add(self, entry: bytes) -> None:
        """Adds a serialised `RecordingEntry` of a call."""
        self._put(entry)
        self.calls += 1

    def flush(self) -> None:
        self._file.flush()

    def end(self, reason: RecordingEnd.Reason.ValueType, *, dropped: int = 0, too_large: int = 0) -> None:
        """Says that the recording is whole, and closes it."""
        end = RecordingEnd(reason=reason, calls=self.calls, dropped=dropped, too_large=too_large)
        self._put(RecordingEntry(end=end).SerializeToString())
        self._file.close()

    def _put(self, content: bytes) -> None:
        self.bytes += self._file.write(framed(content))


class Recording:
    """A recording, opened for reading.

    After its calls were read to the end, ``end`` is what the recorder said at the end; or it is None, and ``broken`` says where the file broke off.
    """

    def __init__(self, path: Path, header: RecordingHeader) -> None:
        self.path = path
        self.header = header
        self.end: RecordingEnd | None = None
        self.broken = ""
        self._service = _service(path, header)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Reads the header.

        Raises:
            ProveError: There is no such file, or it is no recording that this version can read.
        """
        with _opened(path) as file:
            try:
                entry = RecordingEntry.FromString(next((content for _, content in entries(file, path.name)), b""))
            except (BrokenOff, DecodeError):
                entry = RecordingEntry()
        header = entry.header
        if header.format != FORMAT:
            raise ProveError(f"{path} is no recording", remedy="name a file that `tricorn record` made")
        if header.version != VERSION:
            raise ProveError(
                f"{path} is a recording of version {header.version}; this reads version {VERSION}",
                remedy="record again, or read it with the version of tricorn that made it",
            )
        return cls(path, header)

    def calls(self) -> Iterator[RecordedCall]:
        """The calls in order of their start, up to the end or up to where the file breaks off.

        Raises:
            ProveError: An entry claims a length that none can have.
        """
        for _, call in self.positions():
            yield call

    def positions(self) -> Iterator[tuple[int, RecordedCall]]:
        """The calls, each with where its entry begins in the file."""
        self.end, self.broken = None, ""
        last = 0
        with _opened(self.path) as file:
            try:
                for position, content in entries(file, self.path.name):
                    last = position
                    entry = RecordingEntry.FromString(content)
                    kind = entry.WhichOneof("entry")
                    if kind == "call":
                        yield position, entry.call
                    elif kind == "end":
                        self.end = entry.end
            except BrokenOff as error:
                self.broken = str(error)
            except DecodeError:
                self.broken = f"at byte {last}: this is no entry of a recording"
        if self.end is None and not self.broken:
            self.broken = "after the last call: the end is missing"

    @staticmethod
    def entry_at(file: BinaryIO, position: int) -> bytes:
        """The entry that begins at a place which `positions` gave, as it stands in the file."""
        file.seek(position)
        return framed(next(entries(file, "the recording"))[1])

    def method(self, name: str) -> MethodDescriptor:
        """A method as the contract was when it was recorded.

        Raises:
            ProveError: The recording says nothing of it.
        """
        method = self._service.methods_by_name.get(name)
        if method is None:
            raise ProveError(
                f"{self.path}: {self.header.contract} has no method {name!r} in this recording",
                remedy=f"it knows {', '.join(self._service.methods_by_name)}",
            )
        return method

    def request(self, call: RecordedCall) -> Message:
        """The request, read with the descriptors of the recording.

        Raises:
            ProveError: It cannot be read so.
        """
        return self._read(message_factory.GetMessageClass(self.method(call.method).input_type), call.request)

    def answer(self, call: RecordedCall) -> Message | None:
        """The answer, read likewise; None when the call was refused."""
        if call.WhichOneof("outcome") != "answer":
            return None
        return self._read(message_factory.GetMessageClass(self.method(call.method).output_type), call.answer)

    def changes(self, service: ServiceDescriptor) -> list[str]:
        """What keeps recorded requests from being read by today's contract: methods and fields that are gone or of another type."""
        found = []
        for name in self.header.methods:
            now = service.methods_by_name.get(name)
            if now is None:
                found.append(f"the method {name} is gone")
            else:
                found += _changed(self.method(name).input_type, now.input_type, set())
                found += _changed(self.method(name).output_type, now.output_type, set())
        return sorted(set(found))

    def _read(self, kind: type[Message], content: bytes) -> Message:
        try:
            return kind.FromString(content)
        except DecodeError as error:
            raise ProveError(
                f"{self.path}: a {kind.DESCRIPTOR.full_name} in it cannot be read", remedy="record again"
            ) from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ProveError(
            f"{path} cannot be read: {error.strerror}", remedy="name a file that `tricorn record` made"
        ) from error


def _service(path: Path, header: RecordingHeader) -> ServiceDescriptor:
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in header.files.file:
            pool.Add(file)
        return pool.FindServiceByName(header.contract)
    except (KeyError, TypeError) as error:
        raise ProveError(
            f"{path} does not say how its messages of {header.contract} are to be read", remedy="record again"
        ) from error


def _changed(recorded: Descriptor, now: Descriptor, seen: set[str]) -> list[str]:
    name = recorded.full_name
    if name in seen:
        return []
    seen.add(name)
    found = []
    for field in recorded.fields:
        twin = now.fields_by_number.get(field.number)
        if twin is None:
            found.append(f"{name}.{field.name} is gone")
        elif (twin.name, twin.type, twin.is_repeated) != (field.name, field.type, field.is_repeated):
            found.append(f"{name}.{field.name} is of another type or name")
        elif field.message_type is not None and twin.message_type is not None:
            found += _changed(field.message_type, twin.message_type, seen)
    return found
