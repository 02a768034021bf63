// Which profiles of further interpreters a Python can offer, and how they are told.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_PROFILES_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_PROFILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cloister/v1/interpreter.pb.h"
#include "sandbox/interpreter.h"

namespace cloister::core {

// Those of CreateInterpreter; `python_version` as the interpreter reports it, empty where unknown.
std::vector<v1::Interpreter::Profile> OfferedProfiles(std::string_view python_version);
bool IsOffered(v1::Interpreter::Profile profile, std::string_view python_version);

// Whether it lives in the one process that all such interpreters of a sandbox share.
inline bool SharesProcess(v1::Interpreter::Profile profile) {
  return profile == v1::Interpreter::PROFILE_ISOLATED ||
         profile == v1::Interpreter::PROFILE_SHARED_GIL;
}

// Of a further interpreter.
sandbox::InterpreterProfile ToSeam(v1::Interpreter::Profile profile);

// "ISOLATED"
std::string ProfileName(v1::Interpreter::Profile profile);

// PROFILE_UNSUPPORTED.
absl::Status ProfileUnsupportedError(v1::Interpreter::Profile profile,
                                     std::string_view python_version);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_PROFILES_H_
