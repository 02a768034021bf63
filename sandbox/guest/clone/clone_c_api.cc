#include "sandbox/guest/clone/clone_c_api.h"

#include <new>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/clone/clone_functions.h"
#include "sandbox/guest/include/cloister_clone.h"

namespace cloister::sandbox {
namespace {

constexpr char kHooksName[] = "cloister clone hooks";

struct Hooks {
  PyTypeObject* type;  // which has been registered with them, and outlives them
  CloisterCloneTo to;
  CloisterCloneFrom from;
};

const Hooks* HooksOf(PyObject* capsule) {
  return static_cast<const Hooks*>(PyCapsule_GetPointer(capsule, kHooksName));
}

// What a function gives that says nothing of why it gives nothing.
PyObject* Checked(PyObject* made) {
  if (made == nullptr && PyErr_Occurred() == nullptr) {
    PyErr_SetString(PyExc_SystemError, "a clone hook failed without an exception");
  }
  return made;
}

PyObject* CallTo(PyObject* capsule, PyObject* instance) {
  const Hooks* hooks = HooksOf(capsule);
  if (hooks == nullptr) return nullptr;
  // A program can come by this function, and call it with anything.
  if (Py_TYPE(instance) == hooks->type) return Checked(hooks->to(instance));
  PyErr_SetString(PyExc_TypeError, "no instance of the registered type");
  return nullptr;
}

PyObject* CallFrom(PyObject* capsule, PyObject* state) {
  const Hooks* hooks = HooksOf(capsule);
  return hooks == nullptr ? nullptr : Checked(hooks->from(hooks->type, state));
}

PyMethodDef to_method = {"to", CallTo, METH_O, nullptr};
PyMethodDef from_method = {"from_", CallFrom, METH_O, nullptr};

void DeleteHooks(PyObject* capsule) {
  delete static_cast<Hooks*>(PyCapsule_GetPointer(capsule, kHooksName));
}

int RegisterType(PyTypeObject* type, CloisterCloneTo to, CloisterCloneFrom from) {
  auto* hooks = new (std::nothrow) Hooks{type, to, from};
  PyRef capsule = PyRef::Steal(hooks == nullptr ? PyErr_NoMemory()
                                                : PyCapsule_New(hooks, kHooksName, DeleteHooks));
  if (!capsule) {
    delete hooks;
    return -1;
  }
  const PyRef to_function = PyRef::Steal(PyCFunction_New(&to_method, capsule.get()));
  const PyRef from_function = PyRef::Steal(PyCFunction_New(&from_method, capsule.get()));
  const PyRef arguments = PyRef::Steal(to_function && from_function
                                           ? PyTuple_Pack(3, reinterpret_cast<PyObject*>(type),
                                                          to_function.get(), from_function.get())
                                           : nullptr);
  const PyRef done = PyRef::Steal(arguments ? RegisterClone(nullptr, arguments.get()) : nullptr);
  return done ? 0 : -1;
}

PyObject* Clone(PyObject* value) { return CloneValue(nullptr, value); }
PyObject* Encode(PyObject* value) { return EncodeCloneValue(nullptr, value); }
PyObject* Decode(const char* bytes, Py_ssize_t size) {
  return DecodeClone({bytes, static_cast<size_t>(size)}, {}).release();
}

constexpr CloisterCloneApi kApi = {.version = CLOISTER_CLONE_API_VERSION,
                                   .size = sizeof(CloisterCloneApi),
                                   .register_type = RegisterType,
                                   .clone = Clone,
                                   .encode = Encode,
                                   .decode = Decode,
                                   .data_clone_error = DataCloneError};

}  // namespace

PyObject* CloneCApi(PyObject*, PyObject*) {
  return PyCapsule_New(const_cast<CloisterCloneApi*>(&kApi), CLOISTER_CLONE_CAPSULE, nullptr);
}

}  // namespace cloister::sandbox
