#include "sandbox/guest/clone/exception_parts.h"

#include <cstring>
#include <utility>

#include "sandbox/guest/clone/clone_path.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxFrames = 128;
constexpr Py_ssize_t kMaxArguments = 100;
constexpr size_t kMaxTextBytes = 64 << 10;

PyBaseExceptionObject* Parts(PyObject* exception) {
  return reinterpret_cast<PyBaseExceptionObject*>(exception);
}

// What the instance dict has under a name; borrowed, null without an exception where there is none.
PyObject* Attribute(PyObject* exception, const char* name) {
  PyObject* names = Parts(exception)->dict;
  return names == nullptr || !PyDict_CheckExact(names) ? nullptr
                                                       : PyDict_GetItemString(names, name);
}

// Which members tell about the exception, and not about the program it happened in.
bool IsTold(const PyMemberDef& member) {
  return (member.type == Py_T_OBJECT_EX || member.type == _Py_T_OBJECT) &&
         (member.flags & Py_READONLY) == 0 && strcmp(member.name, "obj") != 0;
}

PyObject** Place(PyObject* exception, const PyMemberDef& member) {
  return reinterpret_cast<PyObject**>(reinterpret_cast<char*>(exception) + member.offset);
}

// Those of the static types between it and BaseException, whose own are fields of the format.
template <typename Visit>
void VisitMembers(PyTypeObject* native, Visit visit) {
  for (PyTypeObject* type = native;
       type != nullptr && type != reinterpret_cast<PyTypeObject*>(PyExc_BaseException);
       type = type->tp_base) {
    if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 || type->tp_members == nullptr) continue;
    for (PyMemberDef* member = type->tp_members; member->name != nullptr; ++member) {
      if (IsTold(*member)) visit(*member);
    }
  }
}

FrameLine LineOf(PyTracebackObject* entry) {
  const PyRef code = PyRef::Steal(reinterpret_cast<PyObject*>(PyFrame_GetCode(entry->tb_frame)));
  auto* parts = reinterpret_cast<PyCodeObject*>(code.get());
  const int line =
      entry->tb_lineno >= 0 ? entry->tb_lineno : PyCode_Addr2Line(parts, entry->tb_lasti);
  return {PyRef::Borrow(parts->co_filename), line < 0 ? 0 : line,
          PyRef::Borrow(parts->co_qualname)};
}

void AddRemoteFrames(PyObject* exception, std::vector<FrameLine>* frames) {
  PyObject* list = Attribute(exception, kRemoteFramesAttribute);
  if (list == nullptr || !PyList_CheckExact(list)) return;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list) && frames->size() < kMaxFrames; ++i) {
    PyObject* frame = PyList_GET_ITEM(list, i);
    if (!PyTuple_CheckExact(frame) || PyTuple_GET_SIZE(frame) != 3) continue;
    PyObject* line = PyTuple_GET_ITEM(frame, 1);
    if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(frame, 0)) || !PyLong_CheckExact(line) ||
        !PyUnicode_CheckExact(PyTuple_GET_ITEM(frame, 2))) {
      continue;
    }
    int overflow = 0;
    const long number = PyLong_AsLongAndOverflow(line, &overflow);
    frames->push_back({PyRef::Borrow(PyTuple_GET_ITEM(frame, 0)), number < 0 ? 0 : number,
                       PyRef::Borrow(PyTuple_GET_ITEM(frame, 2))});
  }
}

}  // namespace

std::vector<FrameLine> ExceptionFrames(PyObject* exception) {
  std::vector<FrameLine> frames;
  AddRemoteFrames(exception, &frames);
  PyObject* first = Parts(exception)->traceback;
  size_t count = 0;
  for (PyObject* entry = first; entry != nullptr && PyTraceBack_Check(entry); ++count) {
    entry = reinterpret_cast<PyObject*>(reinterpret_cast<PyTracebackObject*>(entry)->tb_next);
  }
  size_t index = 0;
  for (PyObject* entry = first; entry != nullptr && PyTraceBack_Check(entry); ++index) {
    auto* parts = reinterpret_cast<PyTracebackObject*>(entry);
    if (index < kMaxFrames / 2 || index + kMaxFrames / 2 >= count) frames.push_back(LineOf(parts));
    entry = reinterpret_cast<PyObject*>(parts->tb_next);
  }
  return frames;
}

PyRef ExceptionAttributes(PyObject* exception, PyTypeObject* native) {
  PyObject* own = Parts(exception)->dict;
  PyRef names =
      PyRef::Steal(own != nullptr && PyDict_CheckExact(own) ? PyDict_Copy(own) : PyDict_New());
  if (!names) return PyRef();
  for (const char* elsewhere : {"__notes__", kRemoteFramesAttribute}) {
    if (PyDict_GetItemString(names.get(), elsewhere) != nullptr &&
        PyDict_DelItemString(names.get(), elsewhere) != 0) {
      return PyRef();
    }
  }
  bool done = true;
  VisitMembers(native, [&](const PyMemberDef& member) {
    PyObject* value = *Place(exception, member);
    if (!done || value == nullptr || value == Py_None) return;
    done = PyDict_SetItemString(names.get(), member.name, value) == 0;
  });
  if (!done) return PyRef();
  return PyDict_GET_SIZE(names.get()) > 0 ? std::move(names) : PyRef::Borrow(Py_None);
}

PyObject** FindExceptionMember(PyObject* exception, PyTypeObject* native, const char* name) {
  PyObject** found = nullptr;
  VisitMembers(native, [&](const PyMemberDef& member) {
    if (found == nullptr && strcmp(member.name, name) == 0) found = Place(exception, member);
  });
  return found;
}

PyRef ExceptionNotes(PyObject* exception, bool any) {
  PyObject* notes = Attribute(exception, "__notes__");
  if (notes == nullptr || !PyList_CheckExact(notes)) return PyRef::Borrow(Py_None);
  PyRef kept = PyRef::Steal(PyList_New(0));
  for (Py_ssize_t i = 0; kept && i < PyList_GET_SIZE(notes); ++i) {
    PyObject* note = PyList_GET_ITEM(notes, i);
    if (!any && !PyUnicode_CheckExact(note)) continue;
    if (PyList_Append(kept.get(), note) != 0) return PyRef();
  }
  return kept;
}

RemoteParts DescribeException(PyObject* exception, PyTypeObject* remote_error) {
  RemoteParts parts = {TypeModule(Py_TYPE(exception)), TypeQualifiedName(Py_TYPE(exception)), {}};
  if (Py_TYPE(exception) == remote_error) {
    // It was one before.
    parts.module = ToUtf8(Attribute(exception, "module"), kMaxTextBytes, Cut::kEnd);
    parts.name = ToUtf8(Attribute(exception, "type_name"), kMaxTextBytes, Cut::kEnd);
  }
  PyObject* arguments = Parts(exception)->args;
  if (arguments == nullptr || !PyTuple_CheckExact(arguments)) return parts;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments) && i < kMaxArguments; ++i) {
    PyObject* argument = PyTuple_GET_ITEM(arguments, i);
    parts.arguments.push_back(PyUnicode_CheckExact(argument)
                                  ? ToUtf8(argument, kMaxTextBytes, Cut::kMiddle)
                                  : Describe(argument));
  }
  return parts;
}

}  // namespace cloister::sandbox
