#include "sandbox/guest/shared/moved_copy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/interruptible_waits.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
// The sender's process copies beside all else that it does.
constexpr int64_t kPatience = int64_t{60} * 1'000'000'000;

PyRef Broken(const char* why) {
  RaiseDataCloneError(why);
  return PyRef();
}

bool IsPacketSocket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

// What recvmsg says.
ssize_t Read(int ticket, MovedCopyHeader* header, UniqueFd* memory) {
  iovec data = {header, sizeof(*header)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(ticket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size <= 0) return size;
  std::vector<UniqueFd> came = TakeDescriptors(&message);
  if (came.size() == 1 && (message.msg_flags & MSG_CTRUNC) == 0) *memory = std::move(came.front());
  return size;
}

// Null with a Python exception set.
PyObject* MakeObject(const MovedCopyHeader& header, const void* content) {
  const auto bytes = static_cast<Py_ssize_t>(header.bytes);
  if (header.width == 0) {
    return PyBytes_FromStringAndSize(static_cast<const char*>(content), bytes);
  }
  return PyUnicode_FromKindAndData(static_cast<int>(header.width), content,
                                   bytes / static_cast<Py_ssize_t>(header.width));
}

PyRef ObjectOf(const MovedCopyHeader& header, int memory) {
  struct stat info;
  const int seals = fcntl(memory, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(memory, &info) != 0) {
    return Broken("the copy of what was moved lies in memory that is not sealed");
  }
  const uint32_t width = header.width;
  if (info.st_size <= 0 || static_cast<uint64_t>(info.st_size) != header.bytes ||
      (width != 0 && width != PyUnicode_1BYTE_KIND && width != PyUnicode_2BYTE_KIND &&
       width != PyUnicode_4BYTE_KIND) ||
      (width != 0 && header.bytes % width != 0)) {
    return Broken("the copy of what was moved is none");
  }
  void* mapping = mmap(nullptr, header.bytes, PROT_READ, MAP_PRIVATE, memory, 0);
  if (mapping == MAP_FAILED) return PyRef::Steal(PyErr_NoMemory());
  PyRef object = PyRef::Steal(MakeObject(header, mapping));
  munmap(mapping, header.bytes);
  // There are no characters with such numbers.
  if (!object && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
    PyErr_Clear();
    return Broken("the copy of what was moved is no text");
  }
  return object;
}

}  // namespace

MovedContent ContentOf(PyObject* object) {
  if (PyBytes_CheckExact(object)) {
    return {PyBytes_AS_STRING(object), {.bytes = static_cast<uint64_t>(PyBytes_GET_SIZE(object))}};
  }
  const auto width = static_cast<uint32_t>(PyUnicode_KIND(object));
  return {static_cast<const char*>(PyUnicode_DATA(object)),
          {.width = width, .bytes = static_cast<uint64_t>(PyUnicode_GET_LENGTH(object)) * width}};
}

bool SendMovedCopy(int ticket, int memory, const MovedCopyHeader& header) {
  if (fcntl(memory, F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0) return false;
  MovedCopyHeader copy = header;
  iovec data = {&copy, sizeof(copy)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  AttachDescriptors({&memory, 1}, control, &message);
  return sendmsg(ticket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(copy);
}

PyRef ReceiveMovedCopy(int ticket) {
  constexpr char kGone[] =
      "what was moved is gone: its sender's process has ended, or it was taken";
  if (!IsPacketSocket(ticket)) return Broken("a message has an object that was not moved");
  if (send(ticket, &kCopyPlease, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) return Broken(kGone);
  const int64_t end = MonotonicNanoseconds() + kPatience;
  for (;;) {
    MovedCopyHeader header;
    UniqueFd memory;
    const ssize_t size = Read(ticket, &header, &memory);
    if (size == sizeof(header) && memory) return ObjectOf(header, memory.get());
    if (size >= 0 || errno != EAGAIN) return Broken(kGone);
    const int64_t left = end - MonotonicNanoseconds();
    const int ready = left <= 0 ? 0 : WaitForDescriptor(ticket, POLLIN, left);
    if (ready < 0) return PyRef();
    if (ready == 0) return Broken("the copy of what was moved does not come");
  }
}

}  // namespace cloister::sandbox
