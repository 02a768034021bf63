#include "sandbox/guest/immortal_heap.h"

#include <vector>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

#if PY_VERSION_HEX >= 0x030E0000
constexpr Py_ssize_t kImmortalCount = static_cast<Py_ssize_t>(_Py_IMMORTAL_INITIAL_REFCNT);
#else
constexpr Py_ssize_t kImmortalCount = _Py_IMMORTAL_REFCNT;
#endif

using Pending = std::vector<PyObject*>;

// Being immortal is also the mark of having been visited.
int Visit(PyObject* object, void* pending) {
  if (object != nullptr && !_Py_IsImmortal(object)) {
    Py_SET_REFCNT(object, kImmortalCount);
    static_cast<Pending*>(pending)->push_back(object);
  }
  return 0;
}

// Code objects hold others and are unknown to the collector.
void VisitCode(PyCodeObject* code, Pending* pending) {
  for (PyObject* part : {code->co_consts, code->co_names, code->co_exceptiontable,
                         code->co_localsplusnames, code->co_localspluskinds, code->co_filename,
                         code->co_name, code->co_qualname, code->co_linetable}) {
    Visit(part, pending);
  }
}

void VisitParts(PyObject* object, Pending* pending) {
  if (PyCode_Check(object)) return VisitCode(reinterpret_cast<PyCodeObject*>(object), pending);
  // Static types are no objects of the collector's, though their class can be traversed.
  const traverseproc traverse = PyObject_IS_GC(object) ? Py_TYPE(object)->tp_traverse : nullptr;
  if (traverse != nullptr) traverse(object, Visit, pending);
}

}  // namespace

absl::Status MakeHeapImmortal() {
  PyRef gc = PyRef::Steal(PyImport_ImportModule("gc"));
  PyRef roots = PyRef::Steal(gc ? PyObject_CallMethod(gc.get(), "get_objects", nullptr) : nullptr);
  if (!roots) return TakePythonError("list the heap");
  Pending pending;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(roots.get()); ++i) {
    PyObject* root = PyList_GET_ITEM(roots.get(), i);
    Visit(root, &pending);
    // One that was immortal before, e.g. an interned name's dict, may hold others that are not.
    VisitParts(root, &pending);
    while (!pending.empty()) {
      PyObject* object = pending.back();
      pending.pop_back();
      VisitParts(object, &pending);
    }
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
