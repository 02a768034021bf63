// Tuples, lists, sets and dicts.

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/decode_fast.h"
#include "sandbox/guest/clone/decoder.h"

// CPython's own, in no public header; what its pickle and marshal use. Takes both references.
extern "C" int _PyDict_SetItem_Take2(PyDictObject* dict, PyObject* key, PyObject* value);

namespace cloister::sandbox {

PyObject* CloneDecoder::Tuple(bool is_numbered) {
  uint64_t count;
  if (!Count(&count)) return nullptr;
  const Level level(*this, count, true);
  if (level.is_too_deep()) return nullptr;
  PyRef tuple = PyRef::Steal(PyTuple_New(static_cast<Py_ssize_t>(count)));
  if (!tuple) return nullptr;
  PyObject** items = reinterpret_cast<PyTupleObject*>(tuple.get())->ob_item;
  // Whoever meets it before it is filled finds a tuple of None, which nobody counts.
  for (uint64_t i = 0; i < count; ++i) items[i] = Py_None;
  Exists(NewNumber(is_numbered), tuple.get());
  open_.push_back(tuple.get());
  for (uint64_t i = 0; i < count; ++i) {
    PyObject* item = FastValue();
    if (item == nullptr) {
      open_.pop_back();
      return nullptr;
    }
    items[i] = item;
  }
  open_.pop_back();
#if PY_VERSION_HEX >= 0x030E0000
  reinterpret_cast<PyTupleObject*>(tuple.get())->ob_hash = -1;
#endif
  return tuple.release();
}

PyObject* CloneDecoder::List(bool is_numbered) {
  uint64_t count;
  if (!Count(&count)) return nullptr;
  const Level level(*this, count, false);
  if (level.is_too_deep()) return nullptr;
  PyRef list = PyRef::Steal(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!list) return nullptr;
  // With room for all, and as long as what is in it.
  Py_SET_SIZE(list.get(), 0);
  Exists(NewNumber(is_numbered), list.get());
  for (uint64_t i = 0; i < count; ++i) {
    PyObject* item = FastValue();
    if (item == nullptr) return nullptr;
    auto* object = reinterpret_cast<PyListObject*>(list.get());
    if (static_cast<uint64_t>(Py_SIZE(object)) != i ||
        static_cast<uint64_t>(object->allocated) <= i) {
      Py_DECREF(item);
      return Fail("list changed while it was read from a clone");
    }
    object->ob_item[i] = item;
    Py_SET_SIZE(object, static_cast<Py_ssize_t>(i) + 1);
  }
  return list.release();
}

bool CloneDecoder::IsKey(PyObject* object) {
  if (keys_.Check(object)) return true;
  return Fail(absl::StrCat("clone is damaged: ", keys_.problem())) != nullptr;
}

PyObject* CloneDecoder::Set(bool is_numbered, bool is_frozen) {
  uint64_t count;
  if (!Count(&count)) return nullptr;
  const Level level(*this, count, is_frozen);
  if (level.is_too_deep()) return nullptr;
  // A frozenset that others refer to already cannot be filled; it becomes one when it is.
  PyRef set = PyRef::Steal(PySet_New(nullptr));
  if (!set) return nullptr;
  Exists(NewNumber(is_numbered), set.get());
  if (is_frozen) open_.push_back(set.get());
  bool done = true;
  for (uint64_t i = 0; done && i < count; ++i) {
    const PyRef item = Field();
    done = item && IsKey(item.get()) && PySet_Add(set.get(), item.get()) == 0;
  }
  if (is_frozen) {
    open_.pop_back();
    Py_SET_TYPE(set.get(), &PyFrozenSet_Type);
  }
  if (!done) return nullptr;
  if (static_cast<uint64_t>(PySet_GET_SIZE(set.get())) != count) return Damaged("an item twice");
  return set.release();
}

PyObject* CloneDecoder::Dict(bool is_numbered) {
  uint64_t count;
  if (!Count(&count, Of::kPairs)) return nullptr;
  const Level level(*this, count, false);
  if (level.is_too_deep()) return nullptr;
  PyRef dict = PyRef::Steal(PyDict_New());
  if (!dict) return nullptr;
  Exists(NewNumber(is_numbered), dict.get());
  return Entries(dict.get(), count) ? dict.release() : nullptr;
}

bool CloneDecoder::Entries(PyObject* dict, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    PyObject* key = FastValue();
    if (key == nullptr) return false;
    if (!KeyChecker::IsSimple(Py_TYPE(key)) && !IsKey(key)) {
      Py_DECREF(key);
      return false;
    }
    PyObject* value = FastValue();
    if (value == nullptr) {
      Py_DECREF(key);
      return false;
    }
    if (_PyDict_SetItem_Take2(reinterpret_cast<PyDictObject*>(dict), key, value) != 0) return false;
  }
  return static_cast<uint64_t>(PyDict_GET_SIZE(dict)) == count || Damaged("a key twice") != nullptr;
}

PyObject* CloneDecoder::FrozenDict(bool is_numbered) {
  uint64_t count;
  if (!Count(&count, Of::kPairs)) return nullptr;
  const Level level(*this, count, false);
  if (level.is_too_deep()) return nullptr;
#if PY_VERSION_HEX >= 0x030F0000
  const size_t number = NewNumber(is_numbered);
  const PyRef dict = PyRef::Steal(PyDict_New());
  if (!dict || !Entries(dict.get(), count)) return nullptr;
  PyObject* frozen = PyFrozenDict_New(dict.get());
  if (frozen != nullptr) Exists(number, frozen);
  return frozen;
#else
  (void)is_numbered;
  return Fail("frozendict is of Python 3.15, and this is " PY_VERSION);
#endif
}

}  // namespace cloister::sandbox
