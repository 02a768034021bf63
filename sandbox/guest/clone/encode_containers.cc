// Tuples, lists, sets and dicts.
//
// Their items may change while the walk is in one of them: the standard library's code, or a
// registered hook, lets other threads run. So each container keeps itself alive while it is walked,
// and looks at its size again after every item.

#include "sandbox/guest/clone/encode_fast.h"
#include "sandbox/guest/clone/encoder.h"
#include "sandbox/guest/clone/set_items.h"

namespace cloister::sandbox {

bool CloneEncoder::Tuple(PyObject* tuple) {
  const Start start = Begin(tuple, CloneTag::kTuple);
  if (start != Start::kNew) return start == Start::kReference;
  const Level level(*this, PyTuple_GET_SIZE(tuple) > 0);
  if (level.is_too_deep()) return false;
  const PyRef hold = PyRef::Borrow(tuple);
  const Py_ssize_t count = PyTuple_GET_SIZE(tuple);
  out_.PutVarint(static_cast<uint64_t>(count));
  open_.push_back(tuple);
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (FastValue(PyTuple_GET_ITEM(tuple, i))) continue;
    path_.AddIndex(i);
    open_.pop_back();
    return false;
  }
  open_.pop_back();
  return true;
}

bool CloneEncoder::List(PyObject* list) {
  const Start start = Begin(list, CloneTag::kList);
  if (start != Start::kNew) return start == Start::kReference;
  const Level level(*this, PyList_GET_SIZE(list) > 0);
  if (level.is_too_deep()) return false;
  const PyRef hold = PyRef::Borrow(list);
  const Py_ssize_t count = PyList_GET_SIZE(list);
  out_.PutVarint(static_cast<uint64_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!FastValue(PyList_GET_ITEM(list, i))) {
      path_.AddIndex(i);
      return false;
    }
    if (PyList_GET_SIZE(list) != count) return Changed();
  }
  return true;
}

bool CloneEncoder::Set(PyObject* set, CloneTag tag) {
  const Start start = Begin(set, tag);
  if (start != Start::kNew) return start == Start::kReference;
  const Level level(*this, PySet_GET_SIZE(set) > 0);
  if (level.is_too_deep()) return false;
  const PyRef hold = PyRef::Borrow(set);
  if (tag != CloneTag::kFrozenset) return SetItems(set);
  open_.push_back(set);
  const bool done = SetItems(set);
  open_.pop_back();
  return done;
}

bool CloneEncoder::SetItems(PyObject* set) {
  const Py_ssize_t count = PySet_GET_SIZE(set);
  out_.PutVarint(static_cast<uint64_t>(count));
  Py_ssize_t position = 0;
  Py_ssize_t index = 0;
  while (PyRef item = NextSetItem(set, &position)) {
    if (index == count) return Changed();
    if (!IsKey(item.get()) || !Value(item.get())) {
      path_.AddSetItem(index);
      return false;
    }
    ++index;
  }
  return (index == count && PySet_GET_SIZE(set) == count) || Changed();
}

bool CloneEncoder::Dict(PyObject* dict, CloneTag tag, Exists exists) {
  const Start start = Begin(dict, tag, exists);
  if (start != Start::kNew) return start == Start::kReference;
  const Level level(*this, PyDict_GET_SIZE(dict) > 0);
  if (level.is_too_deep()) return false;
  const bool is_numbered = exists == Exists::kLater && Py_REFCNT(dict) > 1;
  const PyRef hold = PyRef::Borrow(dict);
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  out_.PutVarint(static_cast<uint64_t>(count));
  if (!Entries(dict, count)) return false;
  if (is_numbered) memo_.Complete(dict);
  return true;
}

bool CloneEncoder::Entries(PyObject* dict, Py_ssize_t count) {
  Py_ssize_t position = 0;
  Py_ssize_t index = 0;
  PyObject* key;
  PyObject* value;
  while (PyDict_Next(dict, &position, &key, &value)) {
    if (index == count) return Changed();
    if (PyUnicode_CheckExact(key)) {
      ++values_;
      if (!Room(kSmallCloneBytes) || !FastText(key)) return false;
    } else {
      const PyRef hold_key = PyRef::Borrow(key);
      const PyRef hold_value = PyRef::Borrow(value);
      if (!Key(key, index) || !ValueOf(key, value)) return false;
      ++index;
      continue;
    }
    // Nothing else runs meanwhile, so that the key stays.
    if (KeyChecker::IsSimple(Py_TYPE(value)) ? !FastValue(value) : !ValueOf(key, value)) {
      return false;
    }
    ++index;
  }
  return (index == count && PyDict_GET_SIZE(dict) == count) || Changed();
}

bool CloneEncoder::ValueOf(PyObject* key, PyObject* value) {
  const PyRef hold = PyRef::Borrow(key);
  if (Value(value)) return true;
  path_.AddValueOf(key);
  return false;
}

bool CloneEncoder::Key(PyObject* key, Py_ssize_t index) {
  if (IsKey(key) && Value(key)) return true;
  path_.AddKey(index);
  return false;
}

bool CloneEncoder::IsKey(PyObject* object) {
  return keys_.Check(object) || Refuse(keys_.problem());
}

}  // namespace cloister::sandbox
