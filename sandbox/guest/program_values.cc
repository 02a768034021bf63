#include "sandbox/guest/program_values.h"

#include <string>
#include <string_view>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/outcome_report.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxCloneErrorBytes = size_t{4} << 10;
constexpr size_t kMaxFilePrefixBytes = 64;

PyRef Bytes(const std::string& text) {
  return PyRef::Steal(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

PyRef FunctionName(const v1::FunctionCall& call) {
  return PyRef::Steal(PyUnicode_FromStringAndSize(call.function().data(),
                                                  static_cast<Py_ssize_t>(call.function().size())));
}

// `otherwise` stands for no bytes.
PyRef DecodeOr(PyRef otherwise, const std::string& clone) {
  return clone.empty() ? std::move(otherwise) : DecodeClone(clone, CloneLimits());
}

// Whether a traceback begins in a source of ours.
bool IsOurs(PyObject* traceback) {
  PyRef frame = PyRef::Steal(PyObject_GetAttrString(traceback, "tb_frame"));
  if (!frame) return false;
  PyRef code = PyRef::Steal(
      reinterpret_cast<PyObject*>(PyFrame_GetCode(reinterpret_cast<PyFrameObject*>(frame.get()))));
  PyRef file = PyRef::Steal(PyObject_GetAttrString(code.get(), "co_filename"));
  return file && ToUtf8(file.get(), kMaxFilePrefixBytes, Cut::kEnd).rfind("<cloister ", 0) == 0;
}

// Takes frames of ours out of the exception that is set.
void TrimTraceback() {
  PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
  PyRef traceback = PyRef::Steal(PyException_GetTraceback(exception.get()));
  while (traceback && traceback.get() != Py_None && IsOurs(traceback.get())) {
    traceback = PyRef::Steal(PyObject_GetAttrString(traceback.get(), "tb_next"));
  }
  PyErr_Clear();
  PyException_SetTraceback(exception.get(), traceback ? traceback.get() : Py_None);
  PyErr_SetRaisedException(exception.release());
}

// An `async def` function's result is what it comes to.
PyRef Await(PyRef coroutine) {
  PyRef asyncio = PyRef::Steal(PyImport_ImportModule("asyncio"));
  PyRef run = PyRef::Steal(asyncio ? PyObject_GetAttrString(asyncio.get(), "run") : nullptr);
  return PyRef::Steal(run ? PyObject_CallOneArg(run.get(), coroutine.get()) : nullptr);
}

}  // namespace

bool ApplyVariables(const internal::v1::ProgramClones& clones, PyObject* names) {
  for (const std::string& clone : clones.variables()) {
    PyRef variables = DecodeClone(clone, CloneLimits());
    if (!variables || PyDict_Update(names, variables.get()) != 0) return false;
  }
  return true;
}

PyRef DescribeCall(const v1::Program& program, const internal::v1::ProgramClones& clones) {
  if (!program.has_call()) return PyRef::Borrow(Py_None);
  PyRef function = FunctionName(program.call());
  PyRef arguments = Bytes(clones.arguments());
  PyRef keywords = Bytes(clones.keyword_arguments());
  if (!function || !arguments || !keywords) return PyRef();
  return PyRef::Steal(PyTuple_Pack(3, function.get(), arguments.get(), keywords.get()));
}

PyRef CallFunction(PyObject* find_function, const v1::Program& program,
                   const internal::v1::ProgramClones& clones, PyObject* names) {
  PyRef name = FunctionName(program.call());
  PyRef function = PyRef::Steal(
      name ? PyObject_CallFunctionObjArgs(find_function, name.get(), names, nullptr) : nullptr);
  if (!function) {
    TrimTraceback();
    return PyRef();
  }
  PyRef arguments = DecodeOr(PyRef::Steal(PyTuple_New(0)), clones.arguments());
  PyRef keywords = DecodeOr(PyRef::Steal(PyDict_New()), clones.keyword_arguments());
  if (!arguments || !keywords) return PyRef();
  PyRef result = PyRef::Steal(PyObject_Call(function.get(), arguments.get(), keywords.get()));
  return result && PyCoro_CheckExact(result.get()) ? Await(std::move(result)) : std::move(result);
}

bool DescribeTyped(PyObject* value, internal::v1::Finished* finished) {
  if (EncodeClone(value, kResultCloneLimits, finished->mutable_value_clone())) {
    DescribeType(value, finished->mutable_value());
    return true;
  }
  finished->clear_value_clone();
  if (PyErr_ExceptionMatches(DataCloneError()) == 0) return false;
  PyRef error = PyRef::Steal(PyErr_GetRaisedException());
  PyRef text = PyRef::Steal(PyObject_Str(error.get()));
  if (!text) PyErr_Clear();
  finished->set_clone_error(ToUtf8(text.get(), kMaxCloneErrorBytes, Cut::kEnd));
  return DescribeValue(value, finished->mutable_value());
}

}  // namespace cloister::sandbox
