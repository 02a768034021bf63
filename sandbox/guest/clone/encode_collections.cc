// The containers of `collections`, and SimpleNamespace.

#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {

bool CloneEncoder::Deque(PyObject* deque) {
  PyRef limit = PyRef::Steal(PyObject_GetAttrString(deque, "maxlen"));
  const bool is_shared = Py_REFCNT(deque) > 1;
  // At once, because a deque that changes cannot be walked.
  PyRef items = PyRef::Steal(limit ? PySequence_List(deque) : nullptr);
  if (!items) return false;
  const Py_ssize_t count = PyList_GET_SIZE(items.get());
  const Start start = BeginObject(deque, CloneKind::kDeque, static_cast<size_t>(count) + 1,
                                  is_shared ? Exists::kLater : Exists::kAtOnce);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(deque);
  if (!Value(limit.get())) return false;
  if (is_shared) memo_.Complete(deque);
  PyObject* list = items.get();
  kept_.push_back(std::move(items));
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (Value(PyList_GET_ITEM(list, i))) continue;
    path_.AddIndex(i);
    return false;
  }
  return true;
}

// Its order is its own, not that of the dict beneath: asked of its iterator, which hashes the keys.
bool CloneEncoder::OrderedDict(PyObject* dict) {
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  const Start start =
      BeginObject(dict, CloneKind::kOrderedDict, 2 * static_cast<size_t>(count), Exists::kAtOnce);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(dict);
  Py_ssize_t position = 0;
  PyObject* key;
  PyObject* value;
  for (Py_ssize_t i = 0; PyDict_Next(dict, &position, &key, &value); ++i) {
    if (IsKey(key)) continue;
    path_.AddKey(i);
    return false;
  }
  BeforePython();  // hashes of enum members
  PyRef view = PyRef::Steal(PyObject_CallMethod(dict, "items", nullptr));
  PyRef items = PyRef::Steal(view ? PySequence_List(view.get()) : nullptr);
  if (!items) return false;
  if (PyList_GET_SIZE(items.get()) != count) return Changed();
  PyObject* list = items.get();
  kept_.push_back(std::move(items));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* item = PyList_GET_ITEM(list, i);
    if (!Key(PyTuple_GET_ITEM(item, 0), i)) return false;
    if (Value(PyTuple_GET_ITEM(item, 1))) continue;
    path_.AddValueOf(PyTuple_GET_ITEM(item, 0));
    return false;
  }
  return true;
}

bool CloneEncoder::DefaultDict(PyObject* dict) {
  const bool is_shared = Py_REFCNT(dict) > 1;
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  const Start start = BeginObject(dict, CloneKind::kDefaultDict, 2 * static_cast<size_t>(count) + 1,
                                  Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(dict);
  PyRef factory = PyRef::Steal(PyObject_GetAttrString(dict, "default_factory"));
  if (!factory) return false;
  if (factory.get() != Py_None && !IsGlobal(factory.get())) {
    RefuseType(Py_TYPE(factory.get()));
    path_.AddAttribute("default_factory");
    return false;
  }
  if (!Field(std::move(factory))) {
    path_.AddAttribute("default_factory");
    return false;
  }
  if (is_shared) memo_.Complete(dict);
  return Entries(dict, count);
}

bool CloneEncoder::Counter(PyObject* dict) {
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  const Start start =
      BeginObject(dict, CloneKind::kCounter, 2 * static_cast<size_t>(count), Exists::kAtOnce);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(dict);
  return Entries(dict, count);
}

bool CloneEncoder::Namespace(PyObject* object) {
  const PyRef names = PyRef::Steal(PyObject_GenericGetDict(object, nullptr));
  if (!names) return false;
  const Start start =
      BeginObject(object, CloneKind::kNamespace,
                  2 * static_cast<size_t>(PyDict_GET_SIZE(names.get())), Exists::kAtOnce);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  return Attributes(names.get());
}

}  // namespace cloister::sandbox
