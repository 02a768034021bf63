#include "sandbox/guest/messages/port_types.h"

#include <fcntl.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/messages/named_channel.h"
#include "sandbox/guest/messages/port_methods.h"

namespace cloister::sandbox {
namespace {

struct PortObject {
  PyObject_HEAD alignas(Port) char port[sizeof(Port)];
};

struct Bases {
  std::vector<PyRef> types;
};
const InterpreterLocal<Bases> bases;

// ---- types --------------------------------------------------------------------------------------

// False with a Python exception set; `bound` is what it says, and nothing where it is to be
// whatever the channel of that name has.
bool ParseBound(PyObject* capacity, bool is_named, std::optional<uint32_t>* bound) {
  if (capacity == nullptr || (capacity == Py_None && is_named)) return true;
  const long wished = PyLong_AsLong(capacity);
  if (wished == -1 && PyErr_Occurred() != nullptr) return false;
  if (wished > kMaxChannelCapacity) {
    PyErr_Format(PyExc_ValueError, "a Channel is for at most %u messages", kMaxChannelCapacity);
    return false;
  }
  // Below 0 is how queues say that they are without bound.
  *bound = static_cast<uint32_t>(std::max(wished, 0L));
  return true;
}

// As Channel(capacity), or with the name that queues have for that; one with a name is the host's.
PyObject* NewChannel(PyTypeObject* type, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"capacity", "name", "maxsize", nullptr};
  PyObject* capacity = nullptr;
  PyObject* maxsize = nullptr;
  const char* name = nullptr;
  std::optional<uint32_t> bound;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "|Oz$O:Channel", const_cast<char**>(keywords),
                                   &capacity, &name, &maxsize) ||
      !ParseBound(maxsize != nullptr ? maxsize : capacity, name != nullptr, &bound)) {
    return nullptr;
  }
  PyRef self = PyRef::Steal(NewPort(type));
  if (!self) return nullptr;
  Port& port = PortOf(self.get());
  const bool is_there =
      name == nullptr ? port.Open(bound.value_or(0)) : OpenNamedChannel(name, bound, &port);
  return is_there ? self.release() : nullptr;
}

PyObject* RefuseNew(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError, "a %s is an end of a Channel, or was sent", type->tp_name);
  return nullptr;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void Deallocate(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  PortOf(self).~Port();
  type->tp_free(self);
  Py_DECREF(type);
}

template <typename Function>
void* AsSlot(Function function) {
  return reinterpret_cast<void*>(function);
}

bool AddType(PyObject* names, const char* name, PyMethodDef* methods, newfunc make) {
  PyType_Slot slots[] = {{Py_tp_new, AsSlot(make)},          {Py_tp_dealloc, AsSlot(Deallocate)},
                         {Py_tp_traverse, AsSlot(Traverse)}, {Py_tp_methods, methods},
                         {Py_tp_getset, port_attributes},    {0, nullptr}};
  PyType_Spec spec = {.name = name,
                      .basicsize = sizeof(PortObject),
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                               Py_TPFLAGS_IMMUTABLETYPE,
                      .slots = slots};
  PyRef type = PyRef::Steal(PyType_FromSpec(&spec));
  if (!type || PyDict_SetItemString(names, name + sizeof("cloister"), type.get()) != 0)
    return false;
  bases->types.push_back(std::move(type));
  return true;
}

bool Duplicate(int fd, UniqueFd* copy) {
  copy->reset(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return *copy || RaiseErrno();
}

}  // namespace

bool CheckPortClass(PyObject* type) {
  for (const PyRef& base : bases->types) {
    if (PyType_Check(type) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type),
                                               reinterpret_cast<PyTypeObject*>(base.get())) != 0) {
      return true;
    }
  }
  PyErr_SetString(PyExc_TypeError, "no class of ends of channels");
  return false;
}

PyObject* NewPort(PyTypeObject* type) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) new (reinterpret_cast<PortObject*>(self)->port) Port();
  return self;
}

Port& PortOf(PyObject* object) {
  return *std::launder(reinterpret_cast<Port*>(reinterpret_cast<PortObject*>(object)->port));
}

bool AddPortTypes(PyObject* names) {
  return AddType(names, "cloister.ChannelType", channel_methods, NewChannel) &&
         AddType(names, "cloister.SenderType", sender_methods, RefuseNew) &&
         AddType(names, "cloister.ReceiverType", receiver_methods, RefuseNew);
}

PyObject* NewChannelOf(PyObject*, PyObject* arguments) {
  PyObject* type;
  PyObject* capacity;
  std::optional<uint32_t> bound;
  if (!PyArg_ParseTuple(arguments, "O!O:new_channel", &PyType_Type, &type, &capacity) ||
      !CheckPortClass(type) || !ParseBound(capacity, false, &bound)) {
    return nullptr;
  }
  PyRef self = PyRef::Steal(NewPort(reinterpret_cast<PyTypeObject*>(type)));
  return self && PortOf(self.get()).Open(bound.value_or(0)) ? self.release() : nullptr;
}

PyObject* PortEnd(PyObject*, PyObject* arguments) {
  PyObject* type;
  PyObject* channel;
  int is_sender;
  if (!PyArg_ParseTuple(arguments, "O!Op:port_end", &PyType_Type, &type, &channel, &is_sender)) {
    return nullptr;
  }
  if (!CheckPortClass(type) || !CheckPortClass(reinterpret_cast<PyObject*>(Py_TYPE(channel)))) {
    return nullptr;
  }
  Port& whole = PortOf(channel);
  if (whole.ends().is_closed()) {
    RaiseChannelClosed("this Channel is closed");
    return nullptr;
  }
  PyRef self = PyRef::Steal(NewPort(reinterpret_cast<PyTypeObject*>(type)));
  if (!self) return nullptr;
  Port& port = PortOf(self.get());
  const Port::End end = is_sender != 0 ? Port::kSendEnd : Port::kReceiveEnd;
  port.set_capacity(whole.capacity());
  if (!Duplicate(whole.ends().fd(end), &port.ends()[end])) return nullptr;
  if (whole.capacity() != 0 &&
      !Duplicate(whole.ends().fd(Port::kCredits), &port.ends()[Port::kCredits])) {
    return nullptr;
  }
  return self.release();
}

}  // namespace cloister::sandbox
