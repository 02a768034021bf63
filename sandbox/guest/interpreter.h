// Starts CPython for a zygote.

#ifndef CLOISTER_SANDBOX_GUEST_INTERPRETER_H_
#define CLOISTER_SANDBOX_GUEST_INTERPRETER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/map.h"

namespace cloister::sandbox {

using EnvironmentMap = google::protobuf::Map<std::string, std::string>;

// Starts the interpreter of the image with automatic garbage collection off, and returns its
// version. The process's environment becomes `environment` over a few variables of our own: nothing
// of the environment it was started with reaches a guest. Once per process; the interpreter is
// never ended.
absl::StatusOr<std::string> StartInterpreter(const EnvironmentMap& environment,
                                             const std::string& root);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERPRETER_H_
