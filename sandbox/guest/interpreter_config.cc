#include "sandbox/guest/interpreter_config.h"

#include "absl/strings/str_cat.h"
#include "sandbox/guest/arena_owners.h"

namespace cloister::sandbox {
namespace {

// What both have. Forks of a process with several interpreters crash, and exec would take them all
// away. Daemon threads are allowed because an interpreter of ours only ends when all of its threads
// have: CPython aborts the process over one that has not.
constexpr PyInterpreterConfig kCommon = {.use_main_obmalloc = 0,
                                         .allow_fork = 0,
                                         .allow_exec = 0,
                                         .allow_threads = 1,
                                         .allow_daemon_threads = 1,
                                         .check_multi_interp_extensions = 1,
                                         .gil = PyInterpreterConfig_OWN_GIL};

}  // namespace

InterpreterConfig InterpreterConfig::Isolated() { return InterpreterConfig(kCommon); }

InterpreterConfig InterpreterConfig::SharedGil() {
  PyInterpreterConfig config = kCommon;
  config.use_main_obmalloc = 1;
  config.gil = PyInterpreterConfig_SHARED_GIL;
  return InterpreterConfig(config);
}

absl::StatusOr<InterpreterConfig> InterpreterConfig::Of(internal::v1::GilProfile profile) {
  switch (profile) {
    case internal::v1::GIL_PROFILE_ISOLATED:
      return Isolated();
    case internal::v1::GIL_PROFILE_SHARED_GIL:
      return SharedGil();
    default:
      return absl::InvalidArgumentError("no profile of an interpreter");
  }
}

absl::StatusOr<PyThreadState*> InterpreterConfig::Create() const {
  PyThreadState* state = nullptr;
  const PyStatus status = Py_NewInterpreterFromConfig(&state, &config_);
  if (PyStatus_Exception(status)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "CPython makes no interpreter: ", status.err_msg == nullptr ? "" : status.err_msg));
  }
  // Says that all is well, and makes none, where there is no memory for it.
  if (state == nullptr) return absl::ResourceExhaustedError("no memory for an interpreter");
  if (!is_isolated()) NoteMainAllocator();
  return state;
}

}  // namespace cloister::sandbox
