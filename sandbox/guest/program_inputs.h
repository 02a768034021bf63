// Gives a process what its program may read, all after the fork.
//
// Thread-safety: the main thread, with the GIL.
// Errors: false with a Python exception set, the one Python code in the same place would get.

#ifndef CLOISTER_SANDBOX_GUEST_PROGRAM_INPUTS_H_
#define CLOISTER_SANDBOX_GUEST_PROGRAM_INPUTS_H_

#include <string>

#include "cloister/v1/program.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// The name a program without one has.
inline constexpr char kDefaultFileName[] = "main.py";

// Writes the program's files below `workspace`.
bool ApplyFiles(const v1::Program& program, const char* workspace);

// A descriptor that reads `input`, then end of file; none with a Python exception set.
UniqueFd OpenInput(const std::string& input);

// Makes `input` what descriptor 0 reads, then end of file.
bool ApplyStandardInput(const std::string& input);

// Adds the program's variables to `environ` (os.environ), and so to the C environment.
bool ApplyEnvironment(const v1::Program& program, PyObject* environ);

// Sets sys.argv.
bool SetArguments(const v1::Program& program);

// The same, and sys.path[0] to `workspace`.
bool ApplyArguments(const v1::Program& program, const char* workspace);

// The namespace of module __main__, as it is when a file is run. Borrowed; null with an exception
// set.
PyObject* PrepareMain(const v1::Program& program);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PROGRAM_INPUTS_H_
