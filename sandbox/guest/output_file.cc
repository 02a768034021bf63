#include "sandbox/guest/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/interrupts.h"

namespace cloister::sandbox {
namespace {

// ---- OutputFile ---------------------------------------------------------------------------------

const InterpreterLocal<OutputDiverter> diverter;

// Writes `data` to `fd` without the GIL; signal handlers run between the parts.
bool WriteAll(int fd, const char* data, Py_ssize_t size) {
  while (size > 0) {
    ssize_t written;
    int error = 0;
    Py_BEGIN_ALLOW_THREADS written = write(fd, data, static_cast<size_t>(size));
    error = errno;
    Py_END_ALLOW_THREADS if (written < 0 && error != EINTR) {
      errno = error;
      PyErr_SetFromErrno(PyExc_OSError);
      return false;
    }
    if (CheckInterrupts() != 0) return false;
    if (written > 0) {
      data += written;
      size -= written;
    }
  }
  return true;
}

PyObject* OutputFileWrite(PyObject* self, PyObject* data) {
  // Says so when the file is closed.
  PyRef descriptor = PyRef::Steal(PyObject_CallMethod(self, "fileno", nullptr));
  if (!descriptor) return nullptr;
  const int fd = PyLong_AsInt(descriptor.get());
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  Py_buffer buffer;
  if (PyObject_GetBuffer(data, &buffer, PyBUF_CONTIG_RO) != 0) return nullptr;
  const Py_ssize_t size = buffer.len;
  const char* bytes = static_cast<const char*>(buffer.buf);
  Diverted diverted = Diverted::kNo;
  if (*diverter != nullptr) diverted = (*diverter)(fd, {bytes, static_cast<size_t>(size)});
  const bool written =
      diverted == Diverted::kNo ? WriteAll(fd, bytes, size) : diverted == Diverted::kYes;
  PyBuffer_Release(&buffer);
  return written ? PyLong_FromSsize_t(size) : nullptr;
}

PyMethodDef output_file_methods[] = {
    {"write", OutputFileWrite, METH_O, PyDoc_STR("Write all of a bytes-like object.")}, {}};
PyType_Slot output_file_slots[] = {{Py_tp_methods, output_file_methods}, {0, nullptr}};
PyType_Spec output_file_spec = {.name = "_io.OutputFile",
                                .basicsize = 0,  // the base's
                                .itemsize = 0,
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                .slots = output_file_slots};

// ---- print --------------------------------------------------------------------------------------

struct PrintState {
  PyRef stream;
  PyRef original;
  PyRef write_name;
};
const InterpreterLocal<PrintState> print_state;

// More arguments than anybody prints at once; the rest takes the original's way.
constexpr Py_ssize_t kMaxPieces = 64;

// Text of an object whose conversion runs no code of the user's; empty, without an exception, for
// others.
PyRef PlainText(PyObject* object) {
  if (PyUnicode_CheckExact(object)) return PyRef::Borrow(object);
  if (PyLong_CheckExact(object) || PyFloat_CheckExact(object) || PyBool_Check(object) ||
      object == Py_None) {
    PyRef text = PyRef::Steal(PyObject_Str(object));
    if (!text) PyErr_Clear();  // an int too long to print: the original raises it again
    return text;
  }
  return PyRef();
}

struct Separators {
  PyRef between;
  PyRef end;
};

// print()'s keywords; false where the original must deal with them. `flush` has nothing to do.
bool ReadKeywords(PyObject* const* values, PyObject* names, Separators* separators) {
  const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    const bool is_end = PyUnicode_EqualToUTF8(name, "end");
    if (is_end || PyUnicode_EqualToUTF8(name, "sep")) {
      if (!PyUnicode_CheckExact(values[i])) return false;
      (is_end ? separators->end : separators->between) = PyRef::Borrow(values[i]);
    } else if (!PyUnicode_EqualToUTF8(name, "flush") || !PyBool_Check(values[i])) {
      return false;
    }
  }
  if (!separators->between) separators->between = PyRef::Steal(PyUnicode_FromOrdinal(' '));
  if (!separators->end) separators->end = PyRef::Steal(PyUnicode_FromOrdinal('\n'));
  return separators->between && separators->end;
}

// The whole line, or nothing where the original print must do it.
PyRef JoinArguments(PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  Separators separators;
  if (count > kMaxPieces || !ReadKeywords(arguments + count, names, &separators)) return PyRef();
  if (count == 0) return std::move(separators.end);
  PyRef pieces = PyRef::Steal(PyTuple_New(count * 2));
  PyRef nothing = PyRef::Steal(PyUnicode_New(0, 0));
  if (!pieces || !nothing) return PyRef();
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyRef text = PlainText(arguments[i]);
    if (!text) return PyRef();
    PyTuple_SET_ITEM(pieces.get(), 2 * i, text.release());
    PyObject* after = i + 1 < count ? separators.between.get() : separators.end.get();
    PyTuple_SET_ITEM(pieces.get(), 2 * i + 1, Py_NewRef(after));
  }
  return PyRef::Steal(PyUnicode_Join(nothing.get(), pieces.get()));
}

PyObject* Print(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  const PrintState& state = *print_state;
  if (!state.original) {
    PyErr_SetString(PyExc_RuntimeError, "print() while the interpreter ends");
    return nullptr;
  }
  if (PySys_GetObject("stdout") == state.stream.get()) {
    PyRef line = JoinArguments(arguments, count, names);
    if (line) {
      PyRef written = PyRef::Steal(
          PyObject_CallMethodOneArg(state.stream.get(), state.write_name.get(), line.get()));
      return written ? Py_NewRef(Py_None) : nullptr;
    }
    PyErr_Clear();  // out of memory, if anything: the original will say so again
  }
  return PyObject_Vectorcall(state.original.get(), arguments, static_cast<size_t>(count), names);
}

PyMethodDef print_method = {"print", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(Print)),
                            METH_FASTCALL | METH_KEYWORDS, nullptr};

}  // namespace

PyRef MakeOutputFileType() {
  PyRef io = PyRef::Steal(PyImport_ImportModule("_io"));
  PyRef file_io = PyRef::Steal(io ? PyObject_GetAttrString(io.get(), "FileIO") : nullptr);
  if (!file_io) return PyRef();
  return PyRef::Steal(PyType_FromSpecWithBases(&output_file_spec, file_io.get()));
}

void SetOutputDiverter(OutputDiverter function) { *diverter = function; }

bool InstallPrint(PyObject* standard_output) {
  PyRef builtins = PyRef::Steal(PyImport_ImportModule("builtins"));
  if (!builtins) return false;
  PyRef original = PyRef::Steal(PyObject_GetAttrString(builtins.get(), "print"));
  if (!original) return false;
  CopyDocumentation(original.get(), &print_method);
  PyRef module_name = PyRef::Steal(PyUnicode_InternFromString("builtins"));
  PyRef print = PyRef::Steal(PyCFunction_NewEx(&print_method, builtins.get(), module_name.get()));
  if (!print || PyObject_SetAttrString(builtins.get(), "print", print.get()) != 0) return false;
  print_state->write_name = PyRef::Steal(PyUnicode_InternFromString("write"));
  print_state->stream = PyRef::Borrow(standard_output);
  print_state->original = std::move(original);
  return static_cast<bool>(print_state->write_name);
}

void SetPrintStream(PyObject* standard_output) {
  print_state->stream = PyRef::Borrow(standard_output);
}

}  // namespace cloister::sandbox
