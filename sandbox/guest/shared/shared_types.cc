#include "sandbox/guest/shared/shared_types.h"

#include <cstring>

#include "sandbox/guest/interpreter_local.h"

namespace cloister::sandbox {
namespace {

struct Classes {
  PyRef made[kSharedClassCount];
};
const InterpreterLocal<Classes> here;

PyType_Spec& SpecOf(SharedClass which) {
  switch (which) {
    case SharedClass::kBuffer:
      return shared_buffer_spec;
    case SharedClass::kLock:
      return shared_lock_spec;
    case SharedClass::kCondition:
      return shared_condition_spec;
    case SharedClass::kSemaphore:
      return shared_semaphore_spec;
    case SharedClass::kMovable:
      break;
  }
  return movable_spec;
}

}  // namespace

const char* SharedClassName(SharedClass which) {
  return strchr(SpecOf(which).name, '.') + 1;  // behind "cloister"
}

PyTypeObject* GetSharedClass(SharedClass which) {
  PyRef& made = here->made[static_cast<size_t>(which)];
  if (!made) made = PyRef::Steal(PyType_FromSpec(&SpecOf(which)));
  return reinterpret_cast<PyTypeObject*>(made.get());
}

bool IsSharedClass(PyTypeObject* type, SharedClass which) {
  return type == reinterpret_cast<PyTypeObject*>(here->made[static_cast<size_t>(which)].get());
}

PyObject* SharedClassByName(PyObject*, PyObject* name) {
  for (int i = 0; i < kSharedClassCount; ++i) {
    const auto which = static_cast<SharedClass>(i);
    if (PyUnicode_Check(name) &&
        PyUnicode_CompareWithASCIIString(name, SharedClassName(which)) == 0) {
      return Py_XNewRef(reinterpret_cast<PyObject*>(GetSharedClass(which)));
    }
  }
  PyErr_Format(PyExc_LookupError, "no class for shared memory is called %R", name);
  return nullptr;
}

void AddSharedHandles() {
  AddCloneHandleType(&shared_buffer_handles);
  AddCloneHandleType(&shared_lock_handles);
  AddCloneHandleType(&movable_handles);
}

}  // namespace cloister::sandbox
