"""Files of a live sandbox, below its /workspace, also while code runs there."""

from __future__ import annotations

import datetime
import enum
import io as _io
import os
from dataclasses import dataclass
from typing import IO, Any, AsyncIterator, Iterable, Iterator, List, Union

from . import methods
from .caller import Caller, Handle
from .errors import ResourceExhausted, ServiceError
from .io import blocking, drive
from .program import as_bytes
from .v1 import file_service_pb2 as pb

_PART = 512 << 10
_PAGE = 1000

Source = Union[str, bytes, IO[bytes], Iterable[bytes]]


class FileKind(enum.Enum):
    UNSPECIFIED = 0
    FILE = 1
    DIRECTORY = 2
    SYMBOLIC_LINK = 3
    OTHER = 4


@dataclass(frozen=True)
class FileInfo:
    """What lies at a path: relative to /workspace, size in bytes of a file, time of the last change in UTC."""

    path: str
    kind: FileKind
    size_bytes: int
    modify_time: datetime.datetime
    executable: bool


def info_of(message: Any) -> FileInfo:
    kind = FileKind(message.kind) if message.kind in (1, 2, 3, 4) else FileKind.UNSPECIFIED
    return FileInfo(message.path, kind, message.size_bytes, message.modify_time.ToDatetime(datetime.timezone.utc),
                    message.executable)


class FileBase(Handle):
    """Paths are relative to /workspace, with `/` between their parts. Safe to be used by several tasks or threads."""

    def __init__(self, caller: Caller, sandbox: str) -> None:
        self._caller = caller
        self._sandbox = sandbox

    def _open(self, path: str, offset: int, length: int, timeout: float | None) -> Any:
        request = pb.ReadFileRequest(sandbox=self._sandbox, path=path, offset=offset, length=length)
        return self._caller.stream(methods.READ_FILE, request, timeout)


class FileOperations(FileBase):
    async def put(
        self,
        path: str,
        content: Source,
        *,
        executable: bool = False,
        overwrite: bool = True,
        make_parents: bool = True,
        timeout: float | None = None,
    ) -> FileInfo:
        """Writes a file, which is there whole or not at all.

        Args:
            content: text (as UTF-8), bytes, a binary file, or an iterable of bytes; the latter two are streamed.

        Raises:
            AlreadyExists: without `overwrite`, something is there.
            ResourceExhausted: WORKSPACE_FULL.
            Refused: PATH_REFUSED, a link or no directory is on the way.
        """
        first = pb.WriteFileRequest(sandbox=self._sandbox, path=path, executable=executable,
                                    must_not_exist=not overwrite, make_parents=make_parents)
        if isinstance(content, (str, bytes, bytearray, memoryview)) and overwrite:
            whole = as_bytes(content)
            attempt = 0
            while True:  # idempotent, and the content is still there
                try:
                    return await FileOperations._write(self, first, _io.BytesIO(whole), timeout)
                except ServiceError as error:
                    attempt += 1
                    delay = self._caller.delay_before(attempt, error, repeatable=True)
                    if delay is None:
                        raise
                await self._caller.io.sleep(delay)
        if isinstance(content, (str, bytes, bytearray, memoryview)):
            content = _io.BytesIO(as_bytes(content))
        return await FileOperations._write(self, first, content, timeout)

    async def _write(self, first: pb.WriteFileRequest, content: Any, timeout: float | None) -> FileInfo:
        call = self._caller.io.duplex(methods.WRITE_FILE, self._caller.timeout if timeout is None else timeout)
        try:
            await call.write(first)
            for part in _parts(content):
                await call.write(pb.WriteFileRequest(data=part))
            await call.write(pb.WriteFileRequest(complete=True))
            await call.done_writing()
            response = await call.read()
            # The status comes behind the only response.
            await call.read()
            return info_of(response.file if response is not None else pb.FileInfo())
        except BaseException:
            call.cancel()  # without `complete` nothing is left of it
            raise

    async def get(
        self,
        path: str,
        *,
        offset: int = 0,
        length: int = 0,
        maximum_bytes: int = 256 << 20,
        timeout: float | None = None,
    ) -> bytes:
        """A file's content, from `offset` on, `length` bytes at most (0: to its end).

        Args:
            maximum_bytes: of what is taken into memory, since the sandbox decides how large its files are; `read()` and
                `download()` keep nothing in memory.

        Raises:
            NotFound: FILE_NOT_FOUND.
            ResourceExhausted: it has more than `maximum_bytes`.
        """
        attempt = 0
        while True:
            parts: List[bytes] = []
            taken = 0
            stream = self._open(path, offset, length, timeout)
            try:
                while (message := await stream.read()) is not None:
                    parts.append(message.data)
                    taken += len(message.data)
                    if taken > maximum_bytes:
                        stream.cancel()
                        raise ResourceExhausted(f"{path} has more than {maximum_bytes} bytes")
                return b"".join(parts)
            except ServiceError as error:
                attempt += 1
                delay = self._caller.delay_before(attempt, error, repeatable=True)
                if delay is None:
                    raise
            except BaseException:
                stream.cancel()
                raise
            await self._caller.io.sleep(delay)

    async def stat(self, path: str = "") -> FileInfo:
        """What lies at a path; a symbolic link as such. Raises NotFound."""
        request = pb.StatFileRequest(sandbox=self._sandbox, path=path)
        return info_of((await self._caller.unary(methods.STAT_FILE, request, repeatable=True)).file)

    async def list(
        self, path: str = "", *, recursive: bool = False, maximum_entries: int = 100_000
    ) -> List[FileInfo]:
        """What a directory holds, sorted by path. ResourceExhausted where that is more than `maximum_entries`."""
        found: List[FileInfo] = []
        request = pb.ListFilesRequest(sandbox=self._sandbox, path=path, recursive=recursive, page_size=_PAGE)
        while True:
            page = await self._caller.unary(methods.LIST_FILES, request, repeatable=True)
            found += map(info_of, page.files)
            if len(found) > maximum_entries:
                raise ResourceExhausted(f"{path or '/workspace'} holds more than {maximum_entries} entries")
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def remove(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Removes a file, a link, or a directory; one that is not empty with `recursive` only."""
        request = pb.RemoveFileRequest(
            sandbox=self._sandbox, path=path, recursive=recursive, allow_missing=missing_ok)
        await self._caller.unary(methods.REMOVE_FILE, request, repeatable=missing_ok)

    async def mkdir(self, path: str) -> FileInfo:
        """Makes a directory, and those above it; one that is there stays."""
        request = pb.MakeDirectoryRequest(sandbox=self._sandbox, path=path)
        return info_of((await self._caller.unary(methods.MAKE_DIRECTORY, request, repeatable=True)).directory)

    async def upload(self, local: str | os.PathLike[str], path: str, *, timeout: float | None = None) -> FileInfo:
        """Writes a file of this machine, streamed."""
        with open(local, "rb") as file:
            return await FileOperations.put(self, path, file, timeout=timeout)

    async def download(self, path: str, local: str | os.PathLike[str], *, timeout: float | None = None) -> None:
        """Reads into a file of this machine, which is there whole or not at all."""
        part = f"{os.fspath(local)}.part"
        stream = self._open(path, 0, 0, timeout)
        try:
            with open(part, "wb") as file:
                while (message := await stream.read()) is not None:
                    file.write(message.data)
            os.replace(part, local)
        except BaseException:
            stream.cancel()
            if os.path.exists(part):
                os.unlink(part)
            raise


class AsyncFiles(FileOperations):
    """See `FileBase`."""

    async def read(self, path: str, *, offset: int = 0, length: int = 0) -> AsyncIterator[bytes]:
        """A file's content in pieces of at most 64 KiB, none of them kept."""
        stream = self._open(path, offset, length, None)
        try:
            while (message := await stream.read()) is not None:
                if message.data:
                    yield message.data
        finally:
            stream.cancel()


class Files(FileBase):
    """See `FileBase`."""

    put = blocking(FileOperations.put)
    get = blocking(FileOperations.get)
    stat = blocking(FileOperations.stat)
    list = blocking(FileOperations.list)
    remove = blocking(FileOperations.remove)
    mkdir = blocking(FileOperations.mkdir)
    upload = blocking(FileOperations.upload)
    download = blocking(FileOperations.download)

    def read(self, path: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        """A file's content in pieces of at most 64 KiB, none of them kept."""
        stream = self._open(path, offset, length, None)
        try:
            while (message := drive(stream.read())) is not None:
                if message.data:
                    yield message.data
        finally:
            stream.cancel()


def _parts(content: Any) -> Iterator[bytes]:
    """Pieces that fit into a message."""
    read = getattr(content, "read", None)
    if read is not None:
        while part := read(_PART):
            if not isinstance(part, bytes):
                raise TypeError("a file to be sent has to be opened in binary mode")
            yield part
        return
    for piece in content:
        for start in range(0, len(piece), _PART):
            yield bytes(piece[start:start + _PART])
