// The command line client.

#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "clients/cli/command_line.h"

int main(int argc, char** argv) {
  // A debugging aid that distributions' builds of Abseil switch on: each lock of gRPC's would pay
  // for it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return cloister::cli::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), {});
}
