#include "sandbox/guest/question.h"

#include <poll.h>
#include <pthread.h>

#include <string>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/interruptible_waits.h"
#include "sandbox/guest/standard_streams.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

constexpr size_t kMaxPromptBytes = size_t{16} << 10;

struct Questions {
  FrameSender* sender = nullptr;
  pthread_t thread = {};  // that runs the cells; the same in a copy of the process
  PyRef original_input;
  InputSource source = InputSource::kNobody;
  int64_t cell = 0;    // that asked last
  int64_t number = 0;  // of the question, within the cell
};
const InterpreterLocal<Questions> questions;

// The main thread's code of the cell in front: whoever else asked would take its answers.
bool MayAsk() {
  const Questions& state = *questions;
  const bool is_main_thread = pthread_equal(pthread_self(), state.thread) != 0;
  if (is_main_thread && state.sender->IsOwner() && ForegroundCell() != 0 &&
      CellOfCaller() == ForegroundCell()) {
    return true;
  }
  PyErr_SetString(
      PyExc_RuntimeError,
      "input is only asked for by the main thread of the cell that runs, not by threads, "
      "forks, or tasks of earlier cells");
  return false;
}

bool Send(PyObject* prompt, bool is_password) {
  Questions& state = *questions;
  if (state.cell != ForegroundCell()) {
    state.cell = ForegroundCell();
    state.number = 0;
  }
  GuestFrame frame;
  frame.mutable_input_request()->set_cell(state.cell);
  v1::InputRequest* request = frame.mutable_input_request()->mutable_request();
  request->set_number(++state.number);
  request->set_is_password(is_password);
  if (prompt != nullptr) {
    PyRef text = PyRef::Steal(PyObject_Str(prompt));
    if (!text) return false;
    request->set_prompt(ToUtf8(text.get(), kMaxPromptBytes, Cut::kEnd));
  }
  const absl::Status status = state.sender->Send(frame, FrameSender::OnSignal::kRunHandlers);
  if (!status.ok() && PyErr_Occurred() == nullptr) {
    PyErr_SetString(PyExc_OSError, "the host is gone");
  }
  return status.ok();
}

// Until the host's next frame begins to arrive; false with what a signal handler raised.
bool AwaitFrame(int socket) { return WaitForDescriptor(socket, POLLIN, kForever) > 0; }

bool ReadAnswer(int socket, HostFrame* frame) {
  absl::Status status;
  Py_BEGIN_ALLOW_THREADS;
  status = ReadFrame(socket, frame, kMaxHostFrameBytes);
  Py_END_ALLOW_THREADS;
  if (status.ok()) return true;
  PyErr_SetString(PyExc_EOFError, "the host is gone");
  return false;
}

bool IsAnswer(const HostFrame& frame) {
  const internal::v1::SendInput& answer = frame.send_input();
  return frame.has_send_input() && answer.cell() == questions->cell &&
         (answer.request() == 0 || answer.request() == questions->number);
}

PyObject* Ask(PyObject* prompt, bool is_password) {
  if (!MayAsk()) return nullptr;
  // What was printed before is to be seen before the question.
  FlushStreams();
  if (!Send(prompt, is_password)) return nullptr;
  HostFrame frame;
  const int socket = questions->sender->socket();
  do {
    if (!AwaitFrame(socket) || !ReadAnswer(socket, &frame)) return nullptr;
  } while (!IsAnswer(frame));
  const internal::v1::SendInput& answer = frame.send_input();
  if (answer.end_of_file()) {
    PyErr_SetString(PyExc_EOFError, "EOF when reading a line");
    return nullptr;
  }
  return PyUnicode_DecodeUTF8(answer.text().data(), static_cast<Py_ssize_t>(answer.text().size()),
                              "replace");
}

PyObject* RaiseNobody(const char* function) {
  PyErr_Format(PyExc_EOFError,
               "%s has nobody to ask: the execution has no standard input and was not started with "
               "allow_input",
               function);
  return nullptr;
}

PyObject* Input(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "input expected at most 1 argument, got %zd", count);
    return nullptr;
  }
  const Questions& state = *questions;
  if (state.source == InputSource::kClient) return Ask(count > 0 ? arguments[0] : nullptr, false);
  if (state.source == InputSource::kNobody) return RaiseNobody("input()");
  return PyObject_Vectorcall(state.original_input.get(), arguments, static_cast<size_t>(count),
                             nullptr);
}

// getpass(prompt="Password: ", stream=None, *, echo_char=None); nothing is echoed here.
PyObject* GetPass(PyObject*, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"prompt", "stream", "echo_char", nullptr};
  PyObject* prompt = nullptr;
  PyObject* ignored = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "|OO$O:getpass", const_cast<char**>(keywords),
                                   &prompt, &ignored, &ignored)) {
    return nullptr;
  }
  PyRef usual = PyRef::Steal(prompt == nullptr ? PyUnicode_FromString("Password: ") : nullptr);
  if (prompt == nullptr && !usual) return nullptr;
  if (prompt == nullptr) prompt = usual.get();
  if (questions->source == InputSource::kClient) return Ask(prompt, true);
  if (questions->source == InputSource::kNobody) return RaiseNobody("getpass()");
  return PyObject_CallOneArg(questions->original_input.get(), prompt);
}

PyMethodDef input_method = {"input", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(Input)),
                            METH_FASTCALL, nullptr};
PyMethodDef getpass_method = {
    "getpass", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(GetPass)),
    METH_VARARGS | METH_KEYWORDS,
    PyDoc_STR("getpass(prompt='Password: ', stream=None, *, echo_char=None)\n--\n\n"
              "Ask for a password without showing it.")};

}  // namespace

bool InstallInput(FrameSender* sender) {
  Questions& state = *questions;
  state.sender = sender;
  state.thread = pthread_self();
  PyRef builtins = PyRef::Steal(PyImport_ImportModule("builtins"));
  if (!builtins) return false;
  state.original_input = PyRef::Steal(PyObject_GetAttrString(builtins.get(), "input"));
  if (!state.original_input) return false;
  CopyDocumentation(state.original_input.get(), &input_method);
  PyRef module_name = PyRef::Steal(PyUnicode_InternFromString("builtins"));
  PyRef input = PyRef::Steal(PyCFunction_NewEx(&input_method, builtins.get(), module_name.get()));
  return input && PyObject_SetAttrString(builtins.get(), "input", input.get()) == 0;
}

PyObject* NewGetPass() { return PyCFunction_New(&getpass_method, nullptr); }

void SetInputSource(InputSource source) { questions->source = source; }

}  // namespace cloister::sandbox
