// What the `cloister` program tells its shell. One table, shown by `cloister run --help`.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_EXIT_CODE_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_EXIT_CODE_H_

#include "cloister/v1/outcome.pb.h"
#include "grpcpp/support/status.h"

namespace cloister::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitRaised = 1;
// Bad usage, also where the server found it.
inline constexpr int kExitUsage = 2;
// sysexits(3): EX_UNAVAILABLE, EX_SOFTWARE, EX_IOERR.
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitInternal = 70;
inline constexpr int kExitInputOutput = 74;
// As timeout(1).
inline constexpr int kExitTimeout = 124;
// As a shell tells of signals: 128 + n of SIGINT, SIGKILL, SIGXFSZ, SIGSYS.
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitKilled = 137;
inline constexpr int kExitOutputLimit = 153;
inline constexpr int kExitPolicyViolation = 159;

extern const char kExitCodeHelp[];
// For commands that run no program.
extern const char kCallExitCodeHelp[];

// The exit code of a program that ran.
int ExitCodeFor(const v1::Outcome& outcome);

// The exit code where it could not be run or followed.
int ExitCodeFor(const grpc::Status& status);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_EXIT_CODE_H_
