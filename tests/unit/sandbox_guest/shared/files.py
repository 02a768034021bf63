"""SharedBuffers from files, and into files."""

import os
import pathlib
import tempfile

directory = pathlib.Path(tempfile.mkdtemp())


def test_a_file_becomes_a_buffer():
    content = os.urandom(100_001)
    path = directory / "content"
    path.write_bytes(content)
    for name in (path, str(path), os.fsencode(path)):
        buffer = cloister.SharedBuffer.from_file(name)
        assert len(buffer) == len(content) and bytes(buffer) == content
        memoryview(buffer)[0] ^= 1
        assert path.read_bytes() == content
        assert not buffer.readonly


def test_large_files_come_whole():
    path = directory / "large"
    with open(path, "wb") as file:
        file.truncate(40 << 20)
        file.seek(33 << 20)
        file.write(b"here")
    buffer = cloister.SharedBuffer.from_file(path)
    with memoryview(buffer) as view:
        assert len(view) == 40 << 20 and bytes(view[33 << 20 : (33 << 20) + 4]) == b"here"
        assert not any(view[: 1 << 20])
    buffer.close()
    path.unlink()


def test_a_buffer_becomes_a_file():
    buffer = cloister.SharedBuffer(70_000)
    memoryview(buffer)[:] = bytes(range(100)) * 700
    path = directory / "saved"
    path.write_bytes(b"longer than that" * 10_000)
    buffer.save(path)
    assert path.read_bytes() == bytes(buffer)
    buffer.read_only().save(path)
    assert cloister.SharedBuffer.from_file(path).size == 70_000
    buffer.close()
    raises(ValueError, buffer.save, path)
    assert path.stat().st_size == 70_000


def test_what_is_no_file_is_an_error():
    from_file = cloister.SharedBuffer.from_file
    empty = directory / "empty"
    empty.touch()
    raises(ValueError, from_file, empty)
    raises(ValueError, from_file, "/dev/null")
    raises(FileNotFoundError, from_file, directory / "none")
    raises(TypeError, from_file, 7)
    raises(TypeError, from_file)
    raises(ValueError, from_file, "a\0b")
    # A directory can be opened, and is none either.
    raises(ValueError, from_file, directory)
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    raises(ValueError, from_file, fifo)
    buffer = cloister.SharedBuffer(3)
    raises(OSError, buffer.save, fifo)
    raises(ValueError, buffer.save, "/dev/null")
    raises(IsADirectoryError, buffer.save, directory)
    raises(FileNotFoundError, buffer.save, directory / "none" / "of it")
    buffer.close()


def test_nothing_stays_open():
    path = directory / "content"
    path.write_bytes(b"content")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        cloister.SharedBuffer.from_file(path).save(directory / "copy")
        raises(ValueError, cloister.SharedBuffer.from_file, directory / "empty")
    assert len(os.listdir("/proc/self/fd")) == before
