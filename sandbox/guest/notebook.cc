#include "sandbox/guest/notebook.h"

#include <algorithm>
#include <utility>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/late_output.h"
#include "sandbox/guest/messages/mailbox.h"
#include "sandbox/guest/mime_bundle.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/program_values.h"
#include "sandbox/guest/python_source.h"
#include "sandbox/guest/question.h"

namespace cloister::sandbox {
namespace {

// The caps of notebook.proto.
constexpr Py_ssize_t kMaxCompletions = 500;
constexpr size_t kMaxNameBytes = size_t{1} << 10;
constexpr size_t kMaxIndentBytes = 256;

PyRef FromText(const std::string& text) {
  return PyRef::Steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

// Calls a function of py/NAME.py. `arguments` may be empty, with a Python exception set.
PyRef CallSource(const char* name, const char* function, PyRef arguments) {
  PyRef callee = arguments ? GetFunction(LoadNotebookSource(name), function) : PyRef();
  return PyRef::Steal(callee ? PyObject_CallObject(callee.get(), arguments.get()) : nullptr);
}

// Where it is in use. What a user's own loop cannot do is left undone.
void CallEventLoop(const char* function) {
  if (IdleFunction() == nullptr) return;
  PyRef result = CallSource("event_loop", function, PyRef::Steal(PyTuple_New(0)));
  if (!result) PyErr_Clear();
}

// Out of range and wrong types give 0.
int32_t ToInt(PyObject* number) {
  const int value = PyLong_Check(number) ? PyLong_AsInt(number) : 0;
  if (PyErr_Occurred() == nullptr) return value;
  PyErr_Clear();
  return 0;
}

// A string of what inspection.py tells; its strings are bounded one by one.
std::string Field(PyObject* fields, const char* name, size_t max_bytes) {
  return ToUtf8(PyDict_GetItemString(fields, name), max_bytes, Cut::kMiddle);
}

}  // namespace

absl::Status Notebook::SetUp(const PyRef& program, const PyRef& report) {
  PyRef remember = GetFunction(program, "remember");
  PyRef traceback_text = GetFunction(report, "traceback_text");
  if (!remember || !traceback_text) return TakePythonError("load the notebook");
  PyRef find_function = GetFunction(program, "find_function");
  if (!find_function) return TakePythonError("load the notebook");
  PyRef names = PyRef::Steal(Py_BuildValue("{sisOsOsO}", "FUTURE_FLAGS", PyCF_MASK, "remember",
                                           remember.get(), "traceback_text", traceback_text.get(),
                                           "find_function", find_function.get()));
  if (names && SetUpNotebookSources(names.get())) {
    PyRef cell = LoadNotebookSource("cell");
    if (cell && LoadNotebookSource("imports")) run_ = GetFunction(cell, "run");
    if (run_) trim_ = GetFunction(cell, "trim");
    if (trim_) session_names_ = GetFunction(cell, "session_names");
    if (session_names_) open_session_ = GetFunction(cell, "open_session");
  }
  return open_session_ ? absl::OkStatus() : TakePythonError("load the notebook");
}

absl::Status Notebook::Open(FrameSender* sender, const StandardStreams& streams) {
  if (!SetUpCellContext() || !InstallInput(sender)) return TakePythonError("open the session");
  SendLateOutput(sender, streams.stdout_fd(), streams.stderr_fd());
  ConnectNotebookSources(sender);
  Mailbox::Here().SetHost(sender);
  PyRef opened = PyRef::Steal(PyObject_CallOneArg(open_session_.get(), CellVariable()));
  return opened ? absl::OkStatus() : TakePythonError("open the session");
}

bool Notebook::SetVariables(const internal::v1::ExecuteCell& cell) {
  if (cell.clones().variables().empty()) return true;
  PyRef names = PyRef::Steal(PyObject_CallNoArgs(session_names_.get()));
  return names && ApplyVariables(cell.clones(), names.get());
}

PyRef Notebook::RunCell(const internal::v1::ExecuteCell& cell) {
  const v1::Program& program = cell.program();
  const bool is_silent = cell.options().silent();
  const long long count = is_silent || cell.options().skip_history()
                              ? 0
                              : static_cast<long long>(cell.execution_count());
  const bool makes_value = !is_silent && (program.return_value() || cell.options().return_bundle());
  PyRef file_name = FromFileSystem(program.file_name());
  PyRef call = file_name ? DescribeCall(program, cell.clones()) : PyRef();
  if (!call) return PyRef();
  return PyRef::Steal(PyObject_CallFunction(run_.get(), "y#OLLiO", program.code().data(),
                                            static_cast<Py_ssize_t>(program.code().size()),
                                            file_name.get(), static_cast<long long>(cell.number()),
                                            count, makes_value ? 1 : 0, call.get()));
}

void Notebook::TrimTraceback(PyObject* exception) {
  PyRef trimmed = PyRef::Steal(PyObject_CallOneArg(trim_.get(), exception));
  if (!trimmed) PyErr_Clear();
}

bool Notebook::Describe(PyObject* value, v1::MimeBundle* bundle) {
  PyRef description = CallSource("mime", "bundle", PyRef::Steal(PyTuple_Pack(1, value)));
  if (!description) return false;
  FillBundle(description.get(), bundle);
  return true;
}

bool Notebook::MayIdle() const { return IdleFunction() != nullptr; }

bool Notebook::IdleUntilReadable(int descriptor) {
  PyRef idle = PyRef::Borrow(IdleFunction());
  return static_cast<bool>(PyRef::Steal(PyObject_CallFunction(idle.get(), "i", descriptor)));
}

void Notebook::BeforeCopy() { CallEventLoop("release_descriptors"); }

void Notebook::AfterCopy() { CallEventLoop("take_descriptors"); }

bool Notebook::Complete(const v1::CompleteRequest& request, v1::CompleteResponse* response) {
  PyRef code = FromText(request.code());
  PyRef result = CallSource(
      "completion", "complete",
      PyRef::Steal(code ? Py_BuildValue("(Oi)", code.get(), request.cursor()) : nullptr));
  PyObject* completions;
  int is_truncated;
  int start;
  if (!result || !PyArg_ParseTuple(result.get(), "O!ip:complete", &PyList_Type, &completions,
                                   &start, &is_truncated)) {
    return false;
  }
  response->set_start(start);
  response->set_end(request.cursor());
  response->set_is_truncated(is_truncated != 0);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(completions) && i < kMaxCompletions; ++i) {
    PyObject* item = PyList_GET_ITEM(completions, i);
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) continue;
    bool is_cut = false;
    std::string text = ToUtf8(PyTuple_GET_ITEM(item, 0), kMaxNameBytes, Cut::kEnd, &is_cut);
    if (is_cut || text.empty()) continue;
    v1::Completion* completion = response->add_completions();
    completion->set_text(std::move(text));
    const int kind = ToInt(PyTuple_GET_ITEM(item, 1));
    completion->set_kind(v1::Completion::Kind_IsValid(kind)
                             ? static_cast<v1::Completion::Kind>(kind)
                             : v1::Completion::KIND_UNSPECIFIED);
  }
  return true;
}

bool Notebook::Inspect(const v1::InspectRequest& request, v1::InspectResponse* response) {
  PyRef code = FromText(request.code());
  PyRef fields =
      CallSource("inspection", "inspect_name",
                 PyRef::Steal(code ? Py_BuildValue("(OiO)", code.get(), request.cursor(),
                                                   request.with_source() ? Py_True : Py_False)
                                   : nullptr));
  if (!fields) return false;
  if (!PyDict_Check(fields.get()) || PyDict_GET_SIZE(fields.get()) == 0) return true;
  response->set_is_found(true);
  response->set_name(Field(fields.get(), "name", kMaxNameBytes));
  response->set_type_name(Field(fields.get(), "type_name", kMaxNameBytes));
  response->set_signature(Field(fields.get(), "signature", size_t{16} << 10));
  response->set_documentation(Field(fields.get(), "documentation", size_t{64} << 10));
  response->set_source(Field(fields.get(), "source", size_t{256} << 10));
  response->set_file(Field(fields.get(), "file", size_t{4} << 10));
  response->set_value(Field(fields.get(), "value", size_t{4} << 10));
  PyObject* line = PyDict_GetItemString(fields.get(), "line");
  if (line != nullptr) response->set_line(std::max(0, ToInt(line)));
  return true;
}

bool Notebook::CheckComplete(const v1::CheckCompleteRequest& request,
                             v1::CheckCompleteResponse* response) {
  PyRef code = FromText(request.code());
  PyRef result = CallSource("completeness", "check",
                            PyRef::Steal(code ? PyTuple_Pack(1, code.get()) : nullptr));
  int status;
  PyObject* indent;
  if (!result || !PyArg_ParseTuple(result.get(), "iU:check", &status, &indent)) return false;
  if (!v1::CheckCompleteResponse::Status_IsValid(status)) status = 0;
  response->set_status(static_cast<v1::CheckCompleteResponse::Status>(status));
  response->set_indent(ToUtf8(indent, kMaxIndentBytes, Cut::kEnd));
  return true;
}

}  // namespace cloister::sandbox
