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

// Whether a stream is as good as new: neither closed nor without its file. No Python exception is left.
bool IsOpen(PyObject* stream) {
  PyRef closed = PyRef::Steal(PyObject_GetAttrString(stream, "closed"));
  if (!closed) PyErr_Clear();
  return closed.get() == Py_False;
}

bool SetStream(const char* name, const char* original_name, PyObject* stream) {
  return PySys_SetObject(name, stream) == 0 && PySys_SetObject(original_name, stream) == 0;
}

}  // namespace

absl::Status StandardStreams::SetUp() {
  PyRef type = MakeOutputFileType();
  if (!type) return TakePythonError("make OutputFile");
  PyRef names = PyRef::Steal(Py_BuildValue("{sO}", "OutputFile", type.get()));
  PyRef source = LoadSource(kStreamsSource, "streams", names.get());
  PyRef set_up = GetFunction(source, "set_up");
  if (set_up) make_output_ = GetFunction(source, "make_output");
  if (make_output_) make_input_ = GetFunction(source, "make_input");
  PyRef result = PyRef::Steal(make_input_ ? PyObject_CallNoArgs(set_up.get()) : nullptr);
  if (!result) return TakePythonError("set streams up");
  for (Output& output : outputs_) {
    output.stream = PyRef::Borrow(PySys_GetObject(output.name));
  }
  input_stream_ = PyRef::Borrow(PySys_GetObject("stdin"));
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
    PyRef stream =
        PyRef::Steal(PyObject_CallFunction(make_output_.get(), "i", output->fd));
    if (!stream) return false;
    output->stream = std::move(stream);
    if (output->fd == STDOUT_FILENO) SetPrintStream(output->stream.get());
  } else if (PySys_GetObject(output->name) == output->stream.get()) {
    return true;
  }
  return SetStream(output->name, output->original_name, output->stream.get());
}

bool StandardStreams::RenewInput(const std::string& input) {
  const bool is_usable = fcntl(STDIN_FILENO, F_GETFD) >= 0 && IsOpen(input_stream_.get()) &&
                         PySys_GetObject("stdin") == input_stream_.get();
  if (!has_input_ && input.empty() && is_usable) return true;
  has_input_ = !input.empty();
  // Nothing more comes from the input of an earlier cell.
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null.get() > STDIN_FILENO) dup2(null.get(), STDIN_FILENO);
  if (null.get() == STDIN_FILENO) (void)null.release();  // it was closed
  if (!ApplyStandardInput(input)) return false;
  PyRef stream = PyRef::Steal(PyObject_CallNoArgs(make_input_.get()));
  if (!stream) return false;
  input_stream_ = std::move(stream);
  return SetStream("stdin", "__stdin__", input_stream_.get());
}

bool StandardStreams::Renew(const std::string& input) {
  for (Output& output : outputs_) {
    if (!RenewOutput(&output)) return false;
  }
  return RenewInput(input);
}

void FlushStreams() {
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* stream = PySys_GetObject(name);
    if (stream == nullptr || stream == Py_None) continue;
    PyRef result = PyRef::Steal(PyObject_CallMethod(stream, "flush", nullptr));
    if (!result) PyErr_Clear();  // closed, or no stream at all
  }
  fflush(nullptr);
}

}  // namespace cloister::sandbox
