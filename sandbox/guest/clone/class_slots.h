// How instances of classes that class statements made hold their attributes, read and written
// without asking the classes: no property, no `__getattr__`, no `__setattr__`.
//
// Thread-safety: the thread that holds the GIL only.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLASS_SLOTS_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLASS_SLOTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/guest/clone/clone_types.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// An attribute that `__slots__` made room for, and that is set.
struct FilledSlot {
  std::string name;
  PyRef value;
};

// Of a plain class's instance (CloneTypes::IsPlain), and its bases'.
std::vector<FilledSlot> FilledSlots(PyObject* object);

// Where the instance has a slot of that name; null where its class has none.
PyObject** FindSlot(PyObject* object, std::string_view name);

bool HasInstanceDict(PyTypeObject* type);

// Sets attributes in slots or in the instance dict. The object outlives it.
class AttributeSetter {
 public:
  explicit AttributeSetter(PyObject* object);

  // `name` is text. False with a Python exception set, which is a TypeError where the class has
  // room for none of that name.
  bool Set(PyObject* name, PyObject* value);

 private:
  PyObject* const object_;
  const bool has_slots_;
  PyRef names_;
};

// Gives `object` the attributes of `other`, of the same plain class, in place of its own.
bool TakeOver(PyObject* object, PyObject* other);

// Whether the class is a tuple with names for `count` items, and nothing else that counts.
bool IsNamedTuple(CloneTypes& types, PyTypeObject* type, Py_ssize_t count);

// What an enum has under the name of a member; empty, without an exception, where there is none.
PyRef FindEnumMember(PyTypeObject* type, PyObject* name);

// Whether values without a name are members of the enum too, made by the standard library's code
// alone.
bool IsFlag(PyTypeObject* type);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLASS_SLOTS_H_
