// SharedBuffers from files and into files: what a client has uploaded, or downloads afterwards. The
// kernel copies from one to the other; no interpreter holds the bytes on the way.
//
// A file of the workspace itself cannot be mapped instead: whoever else has it may cut it short,
// and the kernel would kill who reads it then.

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/shared/shared_buffer.h"

namespace cloister::sandbox {
namespace {

// Between two looks for interrupts.
constexpr size_t kPieceBytes = size_t{16} << 20;

PyObject* FailWith(PyObject* path) {
  return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
}

// Opens what `path`, of any type that names files, names. Empty with a Python exception set.
UniqueFd Open(PyObject* path, int flags) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path, &bytes) == 0) return UniqueFd();
  const PyRef hold = PyRef::Steal(bytes);
  const char* name = PyBytes_AS_STRING(bytes);
  UniqueFd file;
  Py_BEGIN_ALLOW_THREADS;
  // One that nobody writes to is not waited for, if it is a pipe.
  file.reset(open(name, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666));
  Py_END_ALLOW_THREADS;
  if (!file) FailWith(path);
  return file;
}

// Its size; -1 with a Python exception set where it is no regular file.
off_t SizeOf(const UniqueFd& file, PyObject* path) {
  struct stat info;
  if (fstat(file.get(), &info) != 0) return FailWith(path), -1;
  if (S_ISREG(info.st_mode)) return info.st_size;
  PyErr_Format(PyExc_ValueError, "%R is no regular file", path);
  return -1;
}

// All of it, from `offset` of the one to where the other is. False with a Python exception set.
bool Copy(int from, off_t offset, int to, uint64_t size, PyObject* path) {
  const off_t end = offset + static_cast<off_t>(size);
  while (offset < end) {
    ssize_t sent;
    Py_BEGIN_ALLOW_THREADS;
    sent = sendfile(to, from, &offset, std::min(kPieceBytes, static_cast<size_t>(end - offset)));
    Py_END_ALLOW_THREADS;
    if (sent < 0 && errno != EINTR) return FailWith(path) != nullptr;
    if (sent == 0) {
      PyErr_Format(PyExc_ValueError, "%R was cut short while it was copied", path);
      return false;
    }
    if (CheckInterrupts() != 0) return false;
  }
  return true;
}

}  // namespace

PyObject* SharedBufferFromFile(PyObject*, PyObject* path) {
  const UniqueFd file = Open(path, O_RDONLY);
  if (!file) return nullptr;
  const off_t size = SizeOf(file, path);
  if (size < 0) return nullptr;
  if (size == 0) {
    PyErr_Format(PyExc_ValueError, "%R is empty, and a SharedBuffer has one byte at least", path);
    return nullptr;
  }
  auto memory = MakeSharedFile(kSharedBufferName, static_cast<size_t>(size));
  if (!memory.ok()) return RaiseStatus(memory.status());
  OpenDescriptor descriptor = *std::move(memory);
  // Charged before the kernel takes the pages.
  PyRef self = NewSharedBuffer(descriptor, static_cast<uint64_t>(size));
  if (!self || !Copy(file.get(), 0, descriptor->get(), static_cast<uint64_t>(size), path)) {
    return nullptr;
  }
  return self.release();
}

PyObject* SharedBufferSave(PyObject* self, PyObject* path) {
  SharedBufferState& state = AsSharedBuffer(self)->state;
  if (!state.BeginUse()) return nullptr;
  const SharedMemory& memory = *state.peek();
  const UniqueFd file = Open(path, O_WRONLY | O_CREAT);
  bool is_done = file && SizeOf(file, path) >= 0;
  if (is_done && ftruncate(file.get(), 0) != 0) is_done = FailWith(path) != nullptr;
  is_done = is_done && Copy(memory.descriptor()->get(), static_cast<off_t>(memory.offset()),
                            file.get(), memory.size(), path);
  state.EndUse();
  return is_done ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace cloister::sandbox
