// The command line client.

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "clients/cli/command_line.h"

namespace {

// What is opened later must not take the place of a closed standard stream. /dev/null does, opened the wrong way
// round, so that using it is still an error. Libraries open things before main: those are no inherited streams, as
// they would not outlive an exec, and a second start finds none of them there.
void FillStandardDescriptors(char** argv) {
  bool is_filled = false;
  for (int fd = 0; fd <= 2; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) continue;
    const int null = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    if (null < 0) continue;
    is_filled = true;
    if (null == fd) continue;
    ::dup2(null, fd);
    ::close(null);
  }
  if (is_filled) ::execv("/proc/self/exe", argv);
}

// What is typed is UTF-8, also where no language is chosen.
void SetUpCharacters() {
  if (::setlocale(LC_CTYPE, "") == nullptr || std::string(::nl_langinfo(CODESET)) != "UTF-8") {
    ::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors(argv);
  SetUpCharacters();
  // A debugging aid that distributions' builds of Abseil switch on: each lock of gRPC's would pay
  // for it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return cloister::cli::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), {});
}
