// How interpreters beside main are made: PyInterpreterConfig, but for the combinations that corrupt
// memory.

#ifndef CLOISTER_SANDBOX_GUEST_INTERPRETER_CONFIG_H_
#define CLOISTER_SANDBOX_GUEST_INTERPRETER_CONFIG_H_

#include "absl/status/statusor.h"
#include "cloister/internal/v1/interpreters.pb.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// A value; one for each profile, and no others.
class InterpreterConfig {
 public:
  // Own GIL and own allocator: the two belong together, which CPython does not check.
  static InterpreterConfig Isolated();
  // Main's GIL and main's allocator: extension modules that it loads and the other one does not may
  // hand objects from interpreter to interpreter.
  static InterpreterConfig SharedGil();
  // INVALID_ARGUMENT for a profile that is none.
  static absl::StatusOr<InterpreterConfig> Of(internal::v1::GilProfile profile);

  bool is_isolated() const { return config_.gil == PyInterpreterConfig_OWN_GIL; }

  // A new interpreter, current in the calling thread, whose thread state, of main, is detached. On
  // failure it stays attached.
  absl::StatusOr<PyThreadState*> Create() const;

 private:
  explicit InterpreterConfig(const PyInterpreterConfig& config) : config_(config) {}

  PyInterpreterConfig config_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERPRETER_CONFIG_H_
