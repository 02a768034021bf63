#include "sandbox/guest/standard_streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "sandbox/guest/output_file.h"
#include "sandbox/guest/program_inputs.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {
namespace {

// Whether a stream is as good as new: neither closed nor without its file. No Python exception is
// left.
bool IsOpen(PyObject* stream) {
  PyRef closed = PyRef::Steal(PyObject_GetAttrString(stream, "closed"));
  if (!closed) PyErr_Clear();
  return closed.get() == Py_False;
}

bool SetStream(const char* name, const char* original_name, PyObject* stream) {
  return PySys_SetObject(name, stream) == 0 && PySys_SetObject(original_name, stream) == 0;
}

// Descriptor 0 with `input`. False with a Python exception set.
bool RenewInputDescriptor(const std::string& input) {
  // Nothing more comes from the input of an earlier cell.
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null.get() > STDIN_FILENO) dup2(null.get(), STDIN_FILENO);
  if (null.get() == STDIN_FILENO) (void)null.release();  // it was closed
  return ApplyStandardInput(input);
}

// Flushes Python's streams. Errors are dropped.
void FlushPythonStreams() {
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* stream = PySys_GetObject(name);
    if (stream == nullptr || stream == Py_None) continue;
    PyRef result = PyRef::Steal(PyObject_CallMethod(stream, "flush", nullptr));
    if (!result) PyErr_Clear();  // closed, or no stream at all
  }
}

}  // namespace

StandardStreams::StandardStreams(UniqueFd output, UniqueFd error)
    : own_output_(std::move(output)),
      own_error_(std::move(error)),
      outputs_{{own_output_ ? own_output_.get() : STDOUT_FILENO, "stdout", "__stdout__"},
               {own_error_ ? own_error_.get() : STDERR_FILENO, "stderr", "__stderr__"}} {}

absl::Status StandardStreams::SetUp() {
  PyRef type = MakeOutputFileType();
  if (!type) return TakePythonError("make OutputFile");
  PyRef names = PyRef::Steal(Py_BuildValue("{sO}", "OutputFile", type.get()));
  PyRef source = LoadSource(kStreamsSource, "streams", names.get());
  PyRef set_up = GetFunction(source, "set_up");
  if (set_up) make_output_ = GetFunction(source, "make_output");
  if (make_output_) make_input_ = GetFunction(source, "make_input");
  if (!make_input_) return TakePythonError("set streams up");
  for (Output& output : outputs_) {
    output.stream = MakeOutput(output);
    if (!output.stream || !SetStream(output.name, output.original_name, output.stream.get())) {
      return TakePythonError("set streams up");
    }
  }
  input_stream_ = MakeInput("");
  // faulthandler's handlers are the process's.
  PyRef reported =
      PyRef::Steal(own_output_ ? Py_NewRef(Py_None) : PyObject_CallNoArgs(set_up.get()));
  if (!input_stream_ || !SetStream("stdin", "__stdin__", input_stream_.get()) || !reported) {
    return TakePythonError("set streams up");
  }
  return InstallPrint(outputs_[0].stream.get()) ? absl::OkStatus()
                                                : TakePythonError("install print");
}

void StandardStreams::Keep() {
  for (Output& output : outputs_) {
    struct stat status;
    if (fstat(output.fd, &status) != 0) continue;
    output.copy.reset(fcntl(output.fd, F_DUPFD_CLOEXEC, 3));
    output.device = status.st_dev;
    output.inode = status.st_ino;
  }
}

void StandardStreams::Forget() {
  for (Output& output : outputs_) {
    RenewDescriptor(output);
    output.copy.reset();
  }
}

void StandardStreams::RenewDescriptor(const Output& output) {
  struct stat status;
  const auto is_original = [&] {
    return status.st_dev == output.device && status.st_ino == output.inode;
  };
  if (fstat(output.fd, &status) == 0 && is_original()) return;
  // Nothing can be done where the cell closed or changed the copy as well.
  if (fstat(output.copy.get(), &status) == 0 && is_original()) dup2(output.copy.get(), output.fd);
}

bool StandardStreams::RenewOutput(Output* output) {
  RenewDescriptor(*output);
  if (!IsOpen(output->stream.get())) {
    PyRef stream = MakeOutput(*output);
    if (!stream) return false;
    output->stream = std::move(stream);
    if (output == &outputs_[0]) SetPrintStream(output->stream.get());
  } else if (PySys_GetObject(output->name) == output->stream.get()) {
    return true;
  }
  return SetStream(output->name, output->original_name, output->stream.get());
}

bool StandardStreams::RenewInput(const std::string& input) {
  const bool is_usable = (own_output_ || fcntl(STDIN_FILENO, F_GETFD) >= 0) &&
                         IsOpen(input_stream_.get()) &&
                         PySys_GetObject("stdin") == input_stream_.get();
  if (!has_input_ && input.empty() && is_usable) return true;
  has_input_ = !input.empty();
  if (!own_output_ && !RenewInputDescriptor(input)) return false;
  PyRef stream = MakeInput(input);
  if (!stream) return false;
  input_stream_ = std::move(stream);
  return SetStream("stdin", "__stdin__", input_stream_.get());
}

PyRef StandardStreams::MakeOutput(const Output& output) {
  return PyRef::Steal(
      PyObject_CallFunction(make_output_.get(), "ii", output.fd,
                            output.fd == stdout_fd() ? STDOUT_FILENO : STDERR_FILENO));
}

PyRef StandardStreams::MakeInput(const std::string& input) {
  if (!own_output_)
    return PyRef::Steal(PyObject_CallFunction(make_input_.get(), "ii", STDIN_FILENO, 0));
  UniqueFd file = OpenInput(input);
  PyRef stream =
      PyRef::Steal(file ? PyObject_CallFunction(make_input_.get(), "ii", file.get(), 1) : nullptr);
  if (stream) (void)file.release();  // closed by the stream
  return stream;
}

bool StandardStreams::Renew(const std::string& input) {
  for (Output& output : outputs_) {
    if (!RenewOutput(&output)) return false;
  }
  return RenewInput(input);
}

void StandardStreams::Flush() const {
  if (!own_output_) return FlushStreams();
  FlushPythonStreams();
}

void FlushStreams() {
  FlushPythonStreams();
  fflush(nullptr);
}

}  // namespace cloister::sandbox
