// A program as it is handed to a guest. Part of the seam described in sandbox.h.

#ifndef CLOISTER_SANDBOX_GUEST_PROGRAM_H_
#define CLOISTER_SANDBOX_GUEST_PROGRAM_H_

#include <memory>
#include <string>
#include <utility>

#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/program.pb.h"

namespace cloister::sandbox {

// The values stand in `clones` only, as the guest reads them; `program` is without.
struct GuestProgram {
  GuestProgram() = default;
  // One without values.
  GuestProgram(v1::Program only_program) : program(std::move(only_program)) {}  // NOLINT

  bool HasClones() const {
    return !clones.variables().empty() || !clones.arguments().empty() ||
           !clones.keyword_arguments().empty();
  }

  v1::Program program;
  internal::v1::ProgramClones clones;
  // What a call returns comes as a clone, in ExecutionEnd::value_clone, and not as a Value.
  bool returns_clone = false;

  // In a fresh sandbox only: nothing runs, and the end has `compiled`, where compiling succeeded.
  bool compile_only = false;
  // What came of that for the same program; shared by all who run it. Null: compile the source.
  std::shared_ptr<const std::string> compiled;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PROGRAM_H_
