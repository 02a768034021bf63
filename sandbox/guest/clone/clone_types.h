// What cloning knows of the types of one interpreter: which of the standard library's classes are
// kinds of the format, what programs registered, and the two exceptions of its own.
//
// Thread-safety: the thread that holds the GIL only. Ownership: of what it found. Errors: null with
// a Python exception set, unless said otherwise.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_TYPES_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_TYPES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "sandbox/clone/format.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// A class of the standard library, or NumPy's, whose instances are a kind of the format.
struct KnownType {
  CloneKind kind;
  const char* module;
  const char* name;
};

class CloneTypes {
 public:
  // Of the calling interpreter.
  static CloneTypes& Here();

  // What the type is; null, without an exception, where it is none of them. Only the class that is
  // found under its name counts, in modules that are imported.
  const KnownType* Find(PyTypeObject* type);

  // The class of a kind, by its name where it has several; imports its module. Borrowed.
  PyTypeObject* Get(CloneKind kind, std::string_view name = {});

  // (to, from) of a registered type; null, without an exception, where it is none. Borrowed.
  PyObject* Hooks(PyTypeObject* type) const;
  bool Register(PyTypeObject* type, PyObject* to, PyObject* from);

  // Whether objects of the class were laid out by class statements alone, on top of `base`.
  bool IsPlain(PyTypeObject* type, PyTypeObject* base = &PyBaseObject_Type);
  // The first base, or the type itself, that no class statement made.
  PyTypeObject* NativeBase(PyTypeObject* type);

  // enum.EnumType, borrowed; null, without an exception, where it is not imported.
  PyTypeObject* EnumType();

  // cloister.DataCloneError and cloister.RemoteError, borrowed.
  PyObject* DataCloneError();
  PyTypeObject* RemoteError();

 private:
  struct Found {
    PyTypeObject* type = nullptr;
    const KnownType* known = nullptr;
    PyRef owned;
  };
  bool LoadOwn();

  std::vector<Found> found_;
  PyRef registered_;  // dict
  PyRef data_clone_error_;
  PyRef remote_error_;
  PyRef enum_type_;
};

// What a class has under a name in its own or a base's dictionary, and whose it is; both null,
// without an exception, where none has it. Borrowed from the classes.
struct ClassEntry {
  PyTypeObject* owner = nullptr;
  PyObject* object = nullptr;
};
ClassEntry FindInClass(PyTypeObject* type, const char* name);

// A class or function by the names of its module and within it; empty, without an exception, where
// sys.modules and the dictionaries lead to none.
PyRef FindGlobal(PyObject* module, PyObject* qualified_name);
PyRef FindGlobal(const char* module, const char* qualified_name);

// Whether the format can name it at all: a class, or a function of Python's or C's.
bool IsGlobal(PyObject* object);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_TYPES_H_
