#include "sandbox/guest/messages/call_type.h"

#include <new>
#include <string>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/connection.h"
#include "sandbox/guest/messages/loop_waits.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxRequest;

struct RequestObject {
  PyObject_HEAD alignas(HostConnection) char connection[sizeof(HostConnection)];
};

struct Types {
  PyRef request;
};
const InterpreterLocal<Types> types;

HostConnection& ConnectionOf(PyObject* self) {
  return *std::launder(
      reinterpret_cast<HostConnection*>(reinterpret_cast<RequestObject*>(self)->connection));
}

// ---- the object ---------------------------------------------------------------------------------

PyObject* Result(PyObject* self, PyObject* arguments) {
  PyObject* timeout = Py_None;
  Deadline deadline;
  if (!PyArg_ParseTuple(arguments, "|O:result", &timeout) || !Deadline::Parse(timeout, &deadline)) {
    return nullptr;
  }
  HostConnection& connection = ConnectionOf(self);
  PyRef result = connection.Finish(deadline);
  // Where it is over, others that wait for it are to know.
  if (connection.ends().is_closed() && !TellLoops(connection.ends())) return nullptr;
  return result.release();
}

PyObject* IsDone(PyObject* self, PyObject*) {
  return PyBool_FromLong(ConnectionOf(self).HasReply());
}

PyObject* IsClosed(PyObject* self, PyObject*) {
  return PyBool_FromLong(ConnectionOf(self).ends().is_closed());
}

PyObject* FileNumber(PyObject* self, PyObject*) {
  return PyLong_FromLong(ConnectionOf(self).ends().fd(0));
}

PyObject* Close(PyObject* self, PyObject*) {
  return CloseEnds(&ConnectionOf(self).ends()) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* Hold(PyObject* self, PyObject*) { return HoldEnd(&ConnectionOf(self).ends(), 0); }

PyObject* LetGo(PyObject* self, PyObject* duplicate) {
  return LetGoOfEnd(&ConnectionOf(self).ends(), duplicate);
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void Deallocate(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  ConnectionOf(self).~HostConnection();
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"result", Result, METH_VARARGS, nullptr},     {"is_done", IsDone, METH_NOARGS, nullptr},
    {"is_closed", IsClosed, METH_NOARGS, nullptr}, {"fileno", FileNumber, METH_NOARGS, nullptr},
    {"close", Close, METH_NOARGS, nullptr},        {"_hold", Hold, METH_NOARGS, nullptr},
    {"_let_go", LetGo, METH_O, nullptr},           {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(Deallocate)},
                       {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
                       {Py_tp_methods, methods},
                       {0, nullptr}};
PyType_Spec spec = {.name = "cloister.Request",
                    .basicsize = sizeof(RequestObject),
                    .itemsize = 0,
                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                             Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    .slots = slots};

PyObject* StartRequest(const MailboxRequest& request) {
  auto* type = reinterpret_cast<PyTypeObject*>(types->request.get());
  if (type == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the interpreter is at its end");
    return nullptr;
  }
  PyRef self = PyRef::Steal(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  new (reinterpret_cast<RequestObject*>(self.get())->connection)
      HostConnection(MessageEnds::Of::kCall);
  return ConnectionOf(self.get()).Start(request, Deadline()) ? self.release() : nullptr;
}

// ---- what starts one ----------------------------------------------------------------------------

// The host makes values of some of them, and bounds all alike.
template <typename Call>
bool SetArguments(PyObject* args, PyObject* kwargs, Call* call) {
  return EncodeClone(args, kResultCloneLimits, call->mutable_arguments()) &&
         EncodeClone(kwargs, kResultCloneLimits, call->mutable_keyword_arguments());
}

PyObject* CallHost(PyObject*, PyObject* arguments) {
  const char* function;
  PyObject* args;
  PyObject* kwargs;
  MailboxRequest request;
  if (!PyArg_ParseTuple(arguments, "sO!O!:call_host", &function, &PyTuple_Type, &args, &PyDict_Type,
                        &kwargs) ||
      !SetArguments(args, kwargs, request.mutable_call_host())) {
    return nullptr;
  }
  request.mutable_call_host()->set_function(function);
  return StartRequest(request);
}

PyObject* CallInterpreter(PyObject*, PyObject* arguments) {
  const char* interpreter;
  const char* name;
  PyObject* args;
  PyObject* kwargs;
  MailboxRequest request;
  internal::v1::CallInterpreter* call = request.mutable_call_interpreter();
  if (!PyArg_ParseTuple(arguments, "ssO!O!:call_interpreter", &interpreter, &name, &PyTuple_Type,
                        &args, &PyDict_Type, &kwargs) ||
      !SetArguments(args, kwargs, call)) {
    return nullptr;
  }
  call->set_interpreter(interpreter);
  call->set_name(name);
  return StartRequest(request);
}

PyObject* SpawnInterpreter(PyObject*, PyObject* arguments) {
  const char* name;
  const char* profile;
  PyObject* imports;
  long long memory_limit_bytes;
  MailboxRequest request;
  internal::v1::SpawnInterpreter* spawn = request.mutable_spawn_interpreter();
  if (!PyArg_ParseTuple(arguments, "ssO!L:spawn_interpreter", &name, &profile, &PyTuple_Type,
                        &imports, &memory_limit_bytes)) {
    return nullptr;
  }
  spawn->set_interpreter_id(name);
  spawn->set_profile(profile);
  spawn->set_memory_limit_bytes(memory_limit_bytes);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(imports); ++i) {
    const char* module = PyUnicode_AsUTF8(PyTuple_GET_ITEM(imports, i));
    if (module == nullptr) return nullptr;
    spawn->add_imports(module);
  }
  return StartRequest(request);
}

PyObject* EndSpawned(PyObject*, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) return nullptr;
  MailboxRequest request;
  request.mutable_end_spawned()->set_interpreter(text);
  return StartRequest(request);
}

PyMethodDef functions[] = {{"call_host", CallHost, METH_VARARGS, nullptr},
                           {"call_interpreter", CallInterpreter, METH_VARARGS, nullptr},
                           {"request_interpreter", SpawnInterpreter, METH_VARARGS, nullptr},
                           {"end_spawned", EndSpawned, METH_O, nullptr}};

}  // namespace

bool AddCallFunctions(PyObject* names) {
  types->request = PyRef::Steal(PyType_FromSpec(&spec));
  if (!types->request) return false;
  for (PyMethodDef& function : functions) {
    PyRef object = PyRef::Steal(PyCFunction_New(&function, nullptr));
    if (!object || PyDict_SetItemString(names, function.ml_name, object.get()) != 0) return false;
  }
  return true;
}

}  // namespace cloister::sandbox
