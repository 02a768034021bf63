// The raw file below sys.stdout and sys.stderr, and a print() that writes once per call.

#ifndef CLOISTER_SANDBOX_GUEST_OUTPUT_FILE_H_
#define CLOISTER_SANDBOX_GUEST_OUTPUT_FILE_H_

#include <string_view>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// The class OutputFile: io.FileIO whose write() writes all of it. FileIO may write a part and
// return, as when a signal arrives while the pipe is full, and the text layer above it loses the
// rest.
PyRef MakeOutputFileType();

// Replaces builtins.print. With write-through streams every piece, separator and end would be a
// system call of its own; here `print("a", 1)` to `standard_output` is a single one. Everything
// else is left to the original: other files, and arguments whose conversion to text could itself
// print. False with a Python exception set on failure. Before warm-up imports, once.
bool InstallPrint(PyObject* standard_output);

// Another stream for the print() that is installed.
void SetPrintStream(PyObject* standard_output);

enum class Diverted {
  kNo,      // write it to the descriptor
  kYes,     // nothing is left to do
  kFailed,  // a Python exception is set
};

// Asked, once set, before each write() of an OutputFile, with the GIL.
using OutputDiverter = Diverted (*)(int fd, std::string_view data);
void SetOutputDiverter(OutputDiverter function);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_OUTPUT_FILE_H_
