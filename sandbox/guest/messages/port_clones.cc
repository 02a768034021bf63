#include "sandbox/guest/messages/port_clones.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/eventfd_info.h"
#include "sandbox/guest/messages/loop_waits.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/messages/port_types.h"
#include "sandbox/guest/notebook_source.h"

namespace cloister::sandbox {
namespace {

struct Role {
  const char* name;
  bool sends;
  bool receives;
  const char* source;  // of py/, which registers its class
};
constexpr Role kRoles[] = {{"channel", true, true, "messages"},
                           {"sender", true, false, "messages"},
                           {"receiver", false, true, "messages"},
                           {"queue", true, true, "queues"}};
constexpr size_t kRoleCount = std::size(kRoles);

struct Classes {
  PyRef of_role[kRoleCount];
};
const InterpreterLocal<Classes> classes;

// kRoleCount where it is none of them.
size_t RoleOf(PyTypeObject* type) {
  size_t role = 0;
  while (role < kRoleCount && classes->of_role[role].get() != reinterpret_cast<PyObject*>(type)) {
    ++role;
  }
  return role;
}

size_t RoleOf(std::string_view name) {
  size_t role = 0;
  while (role < kRoleCount && name != kRoles[role].name) ++role;
  return role;
}

bool Owns(PyTypeObject* type) { return RoleOf(type) < kRoleCount; }

// ---- out ----------------------------------------------------------------------------------------

// A descriptor of the message's own: the object may be closed while it waits.
bool Add(int fd, CloneHandle* handle) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return false;
  handle->descriptors.push_back(std::make_shared<const UniqueFd>(std::move(copy)));
  return true;
}

bool Describe(PyObject* object, CloneHandle* handle, std::string* problem) {
  Port& port = PortOf(object);
  const Role& role = kRoles[RoleOf(Py_TYPE(object))];
  if (port.ends().is_closed()) {
    *problem = absl::StrCat("cloister ", role.name, " that was closed cannot be cloned");
    return false;
  }
  handle->name = role.name;
  handle->capacity = port.capacity();
  const bool is_added = (!role.sends || Add(port.ends().fd(Port::kSendEnd), handle)) &&
                        (!role.receives || Add(port.ends().fd(Port::kReceiveEnd), handle)) &&
                        (port.capacity() == 0 || Add(port.ends().fd(Port::kCredits), handle));
  if (!is_added) *problem = absl::StrCat("cloister ", role.name, ": too many open files");
  return is_added;
}

bool BeginHandover(PyObject* object) {
  Port& port = PortOf(object);
  if (port.ends().is_closed()) return RaiseChannelClosed("what is transferred is closed");
  if (port.is_handed_over()) {
    PyErr_SetString(PyExc_ValueError, "it is being transferred already");
    return false;
  }
  port.set_handed_over(true);
  return true;
}

void EndHandover(PyObject* object, bool was_sent) {
  Port& port = PortOf(object);
  port.set_handed_over(false);
  if (was_sent && !CloseEnds(&port.ends())) PyErr_WriteUnraisable(object);
}

// ---- in -----------------------------------------------------------------------------------------

bool HasOption(int fd, int option, int expected) {
  int value;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == expected;
}

// One that is connected, as those of pairs are for good.
bool IsPacketSocket(int fd) {
  sockaddr_un peer;
  socklen_t size = sizeof(peer);
  return HasOption(fd, SO_DOMAIN, AF_UNIX) && HasOption(fd, SO_TYPE, SOCK_SEQPACKET) &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

// What neither waits nor is anything else.
bool IsCredits(int fd) {
  const EventfdInfo info = ReadEventfdInfo(fd);
  return info.count.has_value() && info.is_semaphore.value_or(true) &&
         (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

bool Take(CloneHandle* handle, size_t index, bool is_right, UniqueFd* end) {
  if (!is_right) return RaiseDataCloneError("a message has an end of a channel that is none");
  end->reset(fcntl(handle->descriptors[index]->get(), F_DUPFD_CLOEXEC, 0));
  return *end || RaiseErrno();
}

bool TakeAll(const Role& role, CloneHandle* handle, Port* port) {
  const size_t count = (role.sends ? 1 : 0) + (role.receives ? 1 : 0) + (handle->capacity ? 1 : 0);
  if (handle->descriptors.size() != count || handle->capacity < 0 ||
      handle->capacity > kMaxChannelCapacity) {
    return RaiseDataCloneError("a message has a channel that is none");
  }
  port->set_capacity(static_cast<uint32_t>(handle->capacity));
  size_t next = 0;
  const auto fd = [&] { return handle->descriptors[next]->get(); };
  if (role.sends) {
    if (!Take(handle, next, IsPacketSocket(fd()), &port->ends()[Port::kSendEnd])) return false;
    ++next;
  }
  if (role.receives) {
    if (!Take(handle, next, IsPacketSocket(fd()), &port->ends()[Port::kReceiveEnd])) return false;
    ++next;
  }
  return handle->capacity == 0 ||
         Take(handle, next, IsCredits(fd()), &port->ends()[Port::kCredits]);
}

PyRef Make(CloneHandle handle) {
  const size_t role = RoleOf(handle.name);
  if (role == kRoleCount) {
    RaiseDataCloneError("a message has an end of a channel that is none");
    return PyRef();
  }
  // Makes the class, where nothing has yet.
  if (!LoadNotebookSource(kRoles[role].source)) {
    if (PyErr_Occurred() == nullptr) RaiseDataCloneError("the interpreter is at its end");
    return PyRef();
  }
  auto* type = reinterpret_cast<PyTypeObject*>(classes->of_role[role].get());
  if (type == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the interpreter is at its end");
    return PyRef();
  }
  PyRef object = PyRef::Steal(NewPort(type));
  if (!object || !TakeAll(kRoles[role], &handle, &PortOf(object.get()))) return PyRef();
  return object;
}

constexpr CloneHandleType kPorts = {.kind = CloneKind::kPort,
                                    .owns = Owns,
                                    .describe = Describe,
                                    .make = Make,
                                    .begin_handover = BeginHandover,
                                    .end_handover = EndHandover};

}  // namespace

void AddPortClones() { AddCloneHandleType(&kPorts); }

bool RegisterPortClass(const char* name, PyObject* type) {
  const size_t role = RoleOf(name);
  if (role == kRoleCount) {
    PyErr_Format(PyExc_ValueError, "channels have no end that is called %s", name);
    return false;
  }
  if (!CheckPortClass(type)) return false;
  classes->of_role[role] = PyRef::Borrow(type);
  return true;
}

}  // namespace cloister::sandbox
