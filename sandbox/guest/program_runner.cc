#include "sandbox/guest/program_runner.h"

#include <fcntl.h>
#include <limits.h>
#include <marshal.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "sandbox/base/compiled_program.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/outcome_report.h"
#include "sandbox/guest/program_inputs.h"
#include "sandbox/guest/program_values.h"
#include "sandbox/guest/python_source.h"
#include "sandbox/guest/standard_streams.h"
#include "sandbox/guest/workspace_files.h"
#include "sandbox/linux/rlimits.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::RunProgram;

constexpr int kReportRecursionLimit = 1000;

// Address space that counts against the program's limit and is given back for the report: the
// program may have used up the rest. Never touched, so it costs no memory.
class Reserve {
 public:
  Reserve()
      : memory_(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;
  ~Reserve() { Release(); }

  void Release() {
    if (memory_ != MAP_FAILED) munmap(memory_, kBytes);
    memory_ = MAP_FAILED;
  }

 private:
  static constexpr size_t kBytes = size_t{8} << 20;

  void* memory_;
};

// Keeps signal handlers of the program, and KeyboardInterrupt, out of a scope. Crashes still crash.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU}) {
      sigdelset(&blocked, signal);
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &saved_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }

 private:
  sigset_t saved_;
};

// Python goes on after an error where the program is no longer asked; says it on stderr.
void IgnorePythonError() {
  if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(nullptr);
}

void CallIgnoringErrors(PyObject* object, const char* method) {
  if (object == nullptr) return PyErr_Clear();
  PyRef result = PyRef::Steal(PyObject_CallMethod(object, method, nullptr));
  if (!result) IgnorePythonError();
}

void JoinThreads() {
  PyRef name = PyRef::Steal(PyUnicode_FromString("threading"));
  PyRef threading = PyRef::Steal(name ? PyImport_GetModule(name.get()) : nullptr);
  if (!threading) return PyErr_Clear();  // never imported: there are none
  CallIgnoringErrors(threading.get(), "_shutdown");
}

bool HasOtherThreads() {
  return PyThreadState_Next(PyInterpreterState_ThreadHead(PyInterpreterState_Get())) != nullptr;
}

// Nothing where it is larger than `max_bytes`. False with a Python exception set.
bool Marshal(PyObject* compiled, size_t max_bytes, std::string* marshalled) {
  PyRef bytes = PyRef::Steal(PyMarshal_WriteObjectToString(compiled, Py_MARSHAL_VERSION));
  if (!bytes) return false;
  const auto size = static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()));
  if (size <= max_bytes) marshalled->assign(PyBytes_AS_STRING(bytes.get()), size);
  return true;
}

// A tuple of code and of code or None; the host had it from a guest like this one.
PyRef Unmarshal(const std::string& marshalled) {
  PyRef compiled = PyRef::Steal(PyMarshal_ReadObjectFromString(
      marshalled.data(), static_cast<Py_ssize_t>(marshalled.size())));
  if (compiled && PyTuple_CheckExact(compiled.get()) && PyTuple_GET_SIZE(compiled.get()) == 2 &&
      PyCode_Check(PyTuple_GET_ITEM(compiled.get(), 0))) {
    PyObject* expression = PyTuple_GET_ITEM(compiled.get(), 1);
    if (expression == Py_None || PyCode_Check(expression)) return compiled;
  }
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "no compiled program");
  return PyRef();
}

}  // namespace

absl::Status ProgramRunner::SetUp() {
  PyRef program_names = PyRef::Steal(Py_BuildValue("{si}", "FUTURE_FLAGS", PyCF_MASK));
  program_source_ = LoadSource(kProgramSource, "program", program_names.get());
  compile_program_ = GetFunction(program_source_, "compile_program");
  if (compile_program_) remember_ = GetFunction(program_source_, "remember");
  if (remember_) find_function_ = GetFunction(program_source_, "find_function");
  if (find_function_) report_source_ = LoadSource(kReportSource, "report");
  report_ = GetFunction(report_source_, "report");
  if (!report_) return TakePythonError("load the runner");
  PyRef os = PyRef::Steal(PyImport_ImportModule("os"));
  if (os) environ_ = PyRef::Steal(PyObject_GetAttrString(os.get(), "environ"));
  PyRef exits = PyRef::Steal(PyImport_ImportModule("atexit"));
  if (exits) {
    run_exit_functions_ = PyRef::Steal(PyObject_GetAttrString(exits.get(), "_run_exitfuncs"));
  }
  if (!environ_ || !run_exit_functions_) return TakePythonError("load the runner");
  return absl::OkStatus();
}

absl::Status ProgramRunner::Rehearse() {
  PyRef names = PyRef::Steal(
      Py_BuildValue("{sOsO}", "compile_program", compile_program_.get(), "report", report_.get()));
  PyRef rehearse = GetFunction(LoadSource(kRehearsalSource, "rehearsal", names.get()), "rehearse");
  PyRef report = PyRef::Steal(rehearse ? PyObject_CallNoArgs(rehearse.get()) : nullptr);
  if (!report) return TakePythonError("rehearse");
  Finished finished;
  FillFromDict(report.get(), &finished);
  return absl::OkStatus();
}

absl::StatusOr<Finished> ProgramRunner::Run(RunProgram request) {
  v1::Program& program = *request.mutable_program();
  // By name: the program may close descriptors, and go elsewhere.
  char workspace[PATH_MAX];
  if (getcwd(workspace, sizeof(workspace)) == nullptr) return SyscallError("getcwd");
  // Files first: the limit on the size of files is for the program's own.
  const bool applied = ApplyFiles(program, workspace) && ApplyStandardInput(program.stdin()) &&
                       ApplyEnvironment(program, environ_.get()) &&
                       ApplyArguments(program, workspace);
  CLOISTER_RETURN_IF_ERROR(ApplyProgramRlimits(request.limits()));
  program.clear_files();
  program.clear_stdin();

  Finished finished;
  {
    Reserve reserve;
    PyRef value = applied ? Execute(request, &finished) : PyRef();
    if (value && (value.get() != Py_None || program.has_call()) && WantsValue(program) &&
        !(WantsTypedValue(program) ? DescribeTyped(value.get(), &finished)
                                   : DescribeValue(value.get(), finished.mutable_value()))) {
      finished.clear_value();
    }
    value.reset();
    reserve.Release();
    PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
    Report(exception.get(), &finished);
  }
  EndProgram();
  if (!program.return_files().empty()) {
    const UniqueFd directory(open(workspace, O_PATH | O_DIRECTORY | O_CLOEXEC));
    CollectFiles(directory.get(), program.return_files(), finished.mutable_files());
  }
  return finished;
}

PyRef ProgramRunner::Execute(const RunProgram& request, Finished* finished) {
  const v1::Program& program = request.program();
  PyObject* names = PrepareMain(program);
  if (names == nullptr || !ApplyVariables(request.clones(), names)) return PyRef();
  PyRef code_and_expression = Compile(request, names);
  if (!code_and_expression) {
    // Without the frames of the compiler's caller, which is ours.
    PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
    PyException_SetTraceback(exception.get(), Py_None);
    PyErr_SetRaisedException(exception.release());
    return PyRef();
  }
  if (request.compile_only()) {
    return Marshal(code_and_expression.get(), MaxCompiledBytes(program.code().size()),
                   finished->mutable_compiled())
               ? PyRef::Borrow(Py_None)
               : PyRef();
  }
  PyObject* code = PyTuple_GET_ITEM(code_and_expression.get(), 0);
  PyObject* expression = PyTuple_GET_ITEM(code_and_expression.get(), 1);
  PyRef result = PyRef::Steal(PyEval_EvalCode(code, names, names));
  if (result && expression != Py_None) {
    result = PyRef::Steal(PyEval_EvalCode(expression, names, names));
  }
  if (!result || !program.has_call()) return result;
  return CallFunction(find_function_.get(), program, request.clones(), names);
}

PyRef ProgramRunner::Compile(const RunProgram& request, PyObject* names) {
  const v1::Program& program = request.program();
  PyObject* file_name = PyDict_GetItemString(names, "__file__");
  const auto size = static_cast<Py_ssize_t>(program.code().size());
  if (!request.compiled().empty()) {
    PyRef compiled = Unmarshal(request.compiled());
    if (!compiled) return PyRef();
    PyRef remembered = PyRef::Steal(
        PyObject_CallFunction(remember_.get(), "y#O", program.code().data(), size, file_name));
    return remembered ? std::move(compiled) : PyRef();
  }
  return PyRef::Steal(PyObject_CallFunction(compile_program_.get(), "y#OO", program.code().data(),
                                            size, file_name,
                                            program.return_value() ? Py_True : Py_False));
}

void ProgramRunner::Report(PyObject* exception, Finished* finished) {
  if (exception == nullptr) return finished->set_kind(Finished::KIND_SUCCEEDED);
  SignalsBlocked blocked;
  // A signal that came before, or an interrupt at the very end, has no code left to go to.
  if (CheckInterrupts() != 0) PyErr_Clear();
  // Of the program's making, and in the way of ours.
  PyEval_SetTrace(nullptr, nullptr);
  PyEval_SetProfile(nullptr, nullptr);
  if (Py_GetRecursionLimit() < kReportRecursionLimit) Py_SetRecursionLimit(kReportRecursionLimit);
  PyRef report = PyRef::Steal(PyObject_CallOneArg(report_.get(), exception));
  if (report) return FillFromDict(report.get(), finished);
  PyErr_Clear();
  finished->set_kind(Finished::KIND_RAISED);
  DescribeBriefly(exception, finished->mutable_exception());
}

void ProgramRunner::ClearMain() {
  PyObject* main = PyImport_AddModule("__main__");
  if (main == nullptr) return PyErr_Clear();
  PyObject* names = PyModule_GetDict(main);
  for (const bool only_private : {true, false}) {
    Py_ssize_t position = 0;
    PyObject* key;
    PyObject* value;
    while (PyDict_Next(names, &position, &key, &value)) {
      if (value == Py_None || !PyUnicode_Check(key)) continue;
      if (PyUnicode_EqualToUTF8(key, "__builtins__")) continue;  // destructors need them
      const bool is_private = PyUnicode_GET_LENGTH(key) > 0 && PyUnicode_READ_CHAR(key, 0) == '_';
      if (only_private && !is_private) continue;
      if (PyDict_SetItem(names, key, Py_None) != 0) IgnorePythonError();
    }
  }
}

void ProgramRunner::RunExitFunctions() {
  PyRef ran = PyRef::Steal(PyObject_CallNoArgs(run_exit_functions_.get()));
  if (!ran) IgnorePythonError();
}

void ProgramRunner::EndProgram() {
  JoinThreads();
  RunExitFunctions();
  FlushStreams();
  // A daemon thread would stumble over names that are gone; in Python it would stand still by now.
  if (HasOtherThreads()) return;
  SignalsBlocked blocked;
  ClearMain();
  PyGC_Collect();
  FlushStreams();
}

}  // namespace cloister::sandbox
