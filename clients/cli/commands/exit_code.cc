#include "clients/cli/commands/exit_code.h"

namespace cloister::cli {

const char kExitCodeHelp[] =
    R"(Exit codes:
  the program's own   it ended by itself: 0, or what it gave to sys.exit
  1    RAISED            an exception reached the top
  2    bad usage         a wrong option, a program or file that cannot be read, a refused request, also one
                         without the right token, or for something that is not there, was lost or has expired
  69   unavailable       no server there, none that knows the call, or it has no room now: try again
  70   internal error    the server failed, or INTERPRETER_LOST
  74   input/output      output or a fetched file could not be written, or a fetched file is missing
  124  WALL_TIMEOUT, CPU_TIMEOUT
  128+n SIGNALED         by signal n: 137 is a kill, 139 a segmentation fault
  130  INTERRUPTED       Ctrl-C
  137  MEMORY_LIMIT
  153  OUTPUT_LIMIT      as a shell tells of SIGXFSZ
  159  POLICY_VIOLATION  as a shell tells of SIGSYS)";

const char kCallExitCodeHelp[] =
    "\n\nExit codes: 0; 2 bad usage, or what is named is not there, was lost or refuses; 69 the server is not "
    "there,\nor has no room now; 70 the server failed; 74 output could not be written.";

int ExitCodeFor(const v1::Outcome& outcome) {
  switch (outcome.kind()) {
    case v1::Outcome::KIND_SUCCEEDED:
      return kExitOk;
    case v1::Outcome::KIND_RAISED:
      return kExitRaised;
    case v1::Outcome::KIND_EXITED:
      return outcome.exit_code();
    case v1::Outcome::KIND_SIGNALED:
      return 128 + outcome.signal();
    case v1::Outcome::KIND_WALL_TIMEOUT:
    case v1::Outcome::KIND_CPU_TIMEOUT:
      return kExitTimeout;
    case v1::Outcome::KIND_MEMORY_LIMIT:
      return kExitKilled;
    case v1::Outcome::KIND_OUTPUT_LIMIT:
      return kExitOutputLimit;
    case v1::Outcome::KIND_POLICY_VIOLATION:
      return kExitPolicyViolation;
    case v1::Outcome::KIND_INTERRUPTED:
      return kExitInterrupted;
    case v1::Outcome::KIND_INTERPRETER_LOST:
    default:  // also what a newer server may add
      return kExitInternal;
  }
}

int ExitCodeFor(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return kExitOk;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return kExitUsage;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return kExitUnavailable;
    case grpc::StatusCode::CANCELLED:
      return kExitInterrupted;
    default:
      return kExitInternal;
  }
}

}  // namespace cloister::cli
