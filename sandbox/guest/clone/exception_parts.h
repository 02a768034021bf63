// What of an exception can be told elsewhere.
//
// Thread-safety: the thread that holds the GIL only. No user code is run: no `__str__`, no
// property.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_EXCEPTION_PARTS_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_EXCEPTION_PARTS_H_

#include <string>
#include <vector>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// The attribute by which an exception that was cloned keeps the frames of its traceback, as
// (file, line, function); its own traceback goes on from there.
inline constexpr char kRemoteFramesAttribute[] = "__remote_frames__";

struct FrameLine {
  PyRef file;
  long line = 0;
  PyRef function;
};

// From the outermost on; of many the outermost and the innermost.
std::vector<FrameLine> ExceptionFrames(PyObject* exception);

// A new dict of what makes it up besides its arguments, or None: its instance dict without notes,
// and members of its native base, like ImportError.name. Empty with a Python exception set.
PyRef ExceptionAttributes(PyObject* exception, PyTypeObject* native);

// A place for such a member that may be written; null where the class has none. Both are those of
// static types.
PyObject** FindExceptionMember(PyObject* exception, PyTypeObject* native, const char* name);

// A new list of its notes, or None. With `any` as they are, else those that are text.
PyRef ExceptionNotes(PyObject* exception, bool any);

// What a RemoteError tells of it.
struct RemoteParts {
  std::string module;
  std::string name;
  std::vector<std::string> arguments;
};
RemoteParts DescribeException(PyObject* exception, PyTypeObject* remote_error);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_EXCEPTION_PARTS_H_
