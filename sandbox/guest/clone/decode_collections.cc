// The containers of `collections`, and SimpleNamespace.

#include <utility>

#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {

PyRef CloneDecoder::Deque(uint64_t count, size_t number) {
  if (count < 1) return PyRef::Steal(Damaged("wrong number of fields"));
  const PyRef limit = Field();
  if (!limit) return PyRef();
  if (limit.get() != Py_None && !PyLong_CheckExact(limit.get())) {
    return PyRef::Steal(Damaged("no int"));
  }
  PyTypeObject* type = types_.Get(CloneKind::kDeque);
  PyRef deque =
      PyRef::Steal(type == nullptr ? nullptr
                                   : PyObject_CallFunction(reinterpret_cast<PyObject*>(type),
                                                           "(()O)", limit.get()));
  const PyRef append =
      PyRef::Steal(deque ? PyObject_GetAttrString(deque.get(), "append") : nullptr);
  if (!append) return PyRef();
  Exists(number, deque.get());
  for (uint64_t i = 1; i < count; ++i) {
    const PyRef item = Field();
    if (!item) return PyRef();
    const PyRef done = PyRef::Steal(PyObject_CallOneArg(append.get(), item.get()));
    if (!done) return PyRef();
  }
  if (PyObject_Size(deque.get()) != static_cast<Py_ssize_t>(count - 1)) {
    return PyRef::Steal(Damaged("more items than a deque may have"));
  }
  return deque;
}

PyRef CloneDecoder::Mapping(CloneKind kind, uint64_t count, size_t number) {
  PyRef dict;
  if (kind == CloneKind::kDefaultDict) {
    if (count < 1) return PyRef::Steal(Damaged("wrong number of fields"));
    --count;
    const PyRef factory = Field();
    if (!factory) return PyRef();
    if (factory.get() != Py_None && !IsGlobal(factory.get())) {
      return PyRef::Steal(Damaged("no factory"));
    }
    PyTypeObject* type = types_.Get(kind);
    if (type != nullptr) {
      dict = PyRef::Steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(type), factory.get()));
    }
  } else if (kind == CloneKind::kOrderedDict) {
    dict = PyRef::Steal(PyODict_New());
  } else {
    // Without Counter.__init__, which would count.
    PyTypeObject* type = types_.Get(kind);
    const PyRef nothing = PyRef::Steal(type != nullptr ? PyTuple_New(0) : nullptr);
    if (nothing) dict = PyRef::Steal(PyDict_Type.tp_new(type, nothing.get(), nullptr));
  }
  if (!dict) return PyRef();
  if (count % 2 != 0) return PyRef::Steal(Damaged("a key without a value"));
  Exists(number, dict.get());
  for (uint64_t i = 0; i < count / 2; ++i) {
    const PyRef key = Field();
    if (!key || !IsKey(key.get())) return PyRef();
    const PyRef value = Field();
    if (!value) return PyRef();
    const int result = kind == CloneKind::kOrderedDict
                           ? PyODict_SetItem(dict.get(), key.get(), value.get())
                           : PyDict_SetItem(dict.get(), key.get(), value.get());
    if (result != 0) return PyRef();
  }
  if (static_cast<uint64_t>(PyDict_GET_SIZE(dict.get())) != count / 2) {
    return PyRef::Steal(Damaged("a key twice"));
  }
  return dict;
}

PyRef CloneDecoder::Namespace(uint64_t count, size_t number) {
  if (count % 2 != 0) return PyRef::Steal(Damaged("a name without a value"));
  PyTypeObject* type = types_.Get(CloneKind::kNamespace);
  PyRef object = PyRef::Steal(
      type == nullptr ? nullptr : PyObject_CallNoArgs(reinterpret_cast<PyObject*>(type)));
  const PyRef names =
      PyRef::Steal(object ? PyObject_GenericGetDict(object.get(), nullptr) : nullptr);
  if (!names) return PyRef();
  Exists(number, object.get());
  for (uint64_t i = 0; i < count / 2; ++i) {
    const PyRef name = Text();
    const PyRef value = name ? Field() : PyRef();
    if (!value || PyDict_SetItem(names.get(), name.get(), value.get()) != 0) return PyRef();
  }
  if (static_cast<uint64_t>(PyDict_GET_SIZE(names.get())) != count / 2) {
    return PyRef::Steal(Damaged("a name twice"));
  }
  return object;
}

}  // namespace cloister::sandbox
