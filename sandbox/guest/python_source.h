// The Python files of this directory, as part of the binary.

#ifndef CLOISTER_SANDBOX_GUEST_PYTHON_SOURCE_H_
#define CLOISTER_SANDBOX_GUEST_PYTHON_SOURCE_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Made by the build from py/NAME.py.
extern const char kCallsSource[];
extern const char kCellSource[];
extern const char kCloneSource[];
extern const char kCompletenessSource[];
extern const char kCompletionSource[];
extern const char kEventLoopSource[];
extern const char kFiguresSource[];
extern const char kFurtherSource[];
extern const char kHygieneSource[];
extern const char kImportsSource[];
extern const char kInspectionSource[];
extern const char kLookupSource[];
extern const char kMessageWaitsSource[];
extern const char kMessagesSource[];
extern const char kMimeSource[];
extern const char kPoolSource[];
extern const char kPoolFuturesSource[];
extern const char kPoolWorkerSource[];
extern const char kPoolWorkersSource[];
extern const char kProgramSource[];
extern const char kPublicSource[];
extern const char kQueuesSource[];
extern const char kRehearsalSource[];
extern const char kReportSource[];
extern const char kSharedSource[];
extern const char kSourceScanSource[];
extern const char kStreamsSource[];
extern const char kWaitsSource[];

// Runs `source` as a module of its own and returns its namespace. It is not in sys.modules, and has
// a copy of the builtins: a program that replaces them changes nothing for it. `name` is for
// tracebacks.
PyRef LoadSource(const char* source, const char* name);

// As above, with `names` (a dict) in the namespace before it runs.
PyRef LoadSource(const char* source, const char* name, PyObject* names);

// The two halves of it: compiling, and running in a namespace that has its names already.
PyRef CompileSource(const char* source, const char* name);
bool RunSource(PyObject* code, const char* name, PyObject* globals);

// A function of a namespace, by name.
PyRef GetFunction(const PyRef& source_namespace, const char* name);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PYTHON_SOURCE_H_
