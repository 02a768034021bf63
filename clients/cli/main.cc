// The command line client.

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>

#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "clients/cli/command_line.h"

namespace {

// A file opened later must not become what was meant for a closed standard stream. Opened the wrong way round,
// so that using it is still an error.
void FillStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

// What is typed is UTF-8, also where no language is chosen.
void SetUpCharacters() {
  if (::setlocale(LC_CTYPE, "") == nullptr || std::string(::nl_langinfo(CODESET)) != "UTF-8") {
    ::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors();
  SetUpCharacters();
  // A debugging aid that distributions' builds of Abseil switch on: each lock of gRPC's would pay
  // for it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return cloister::cli::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), {});
}
