#include "sandbox/guest/program_inputs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/workspace_files.h"
#include "sandbox/guest/write_all.h"

namespace cloister::sandbox {
namespace {

// Sets OSError for `path`.
bool RaiseOsError(int error_number, std::string_view path) {
  PyRef name = FromFileSystem(path);
  errno = error_number;
  if (name) PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name.get());
  return false;
}

std::string_view FileName(const v1::Program& program) {
  return program.file_name().empty() ? std::string_view(kDefaultFileName)
                                     : std::string_view(program.file_name());
}

bool Append(PyObject* list, std::string_view text) {
  PyRef item = FromFileSystem(text);
  return item && PyList_Append(list, item.get()) == 0;
}

}  // namespace

bool ApplyFiles(const v1::Program& program, const char* workspace) {
  if (program.files().empty()) return true;
  const UniqueFd directory(open(workspace, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return RaiseOsError(errno, workspace);
  for (const v1::File& file : program.files()) {
    const FileError error = PlaceFile(directory.get(), file);
    if (error.error_number != 0) return RaiseOsError(error.error_number, error.path);
  }
  return true;
}

UniqueFd OpenInput(const std::string& text) {
  // A file in memory rather than a pipe: any size fits without anybody to feed it.
  UniqueFd input(text.empty() ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                              : memfd_create("stdin", MFD_CLOEXEC));
  if (!input || !WriteAll(input.get(), text) ||
      (!text.empty() && lseek(input.get(), 0, SEEK_SET) != 0)) {
    RaiseOsError(errno, "<stdin>");
    input.reset();
  }
  return input;
}

bool ApplyStandardInput(const std::string& text) {
  if (text.empty()) return true;  // descriptor 0 is /dev/null
  const UniqueFd input = OpenInput(text);
  return input && (dup2(input.get(), STDIN_FILENO) == 0 || RaiseOsError(errno, "<stdin>"));
}

bool ApplyEnvironment(const v1::Program& program, PyObject* environ) {
  for (const auto& [name, value] : program.environment()) {
    PyRef key = FromFileSystem(name);
    PyRef text = FromFileSystem(value);
    if (!key || !text || PyObject_SetItem(environ, key.get(), text.get()) != 0) return false;
  }
  return true;
}

bool SetArguments(const v1::Program& program) {
  PyRef argv = PyRef::Steal(PyList_New(0));
  if (!argv || !Append(argv.get(), FileName(program))) return false;
  for (const std::string& argument : program.args()) {
    if (!Append(argv.get(), argument)) return false;
  }
  return PySys_SetObject("argv", argv.get()) == 0;
}

bool ApplyArguments(const v1::Program& program, const char* workspace) {
  PyRef directory = FromFileSystem(workspace);
  PyObject* path = PySys_GetObject("path");
  return SetArguments(program) && directory && path != nullptr &&
         PyList_Insert(path, 0, directory.get()) == 0;
}

PyObject* PrepareMain(const v1::Program& program) {
  PyObject* main = PyImport_AddModule("__main__");
  if (main == nullptr) return nullptr;
  PyObject* names = PyModule_GetDict(main);
  PyRef file_name = FromFileSystem(FileName(program));
  const bool prepared = file_name &&
                        PyDict_SetItemString(names, "__file__", file_name.get()) == 0 &&
                        // There is no file that a loader could load again.
                        PyDict_SetItemString(names, "__loader__", Py_None) == 0 &&
                        PyDict_SetItemString(names, "__spec__", Py_None) == 0 &&
                        PyDict_SetItemString(names, "__cached__", Py_None) == 0;
  return prepared ? names : nullptr;
}

}  // namespace cloister::sandbox
