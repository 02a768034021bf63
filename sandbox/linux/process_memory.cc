#include "sandbox/linux/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

absl::StatusOr<int64_t> AnonymousMemoryBytes(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/statm");
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return SyscallError(absl::StrCat("open ", path));
  std::array<char, 256> text = {};
  if (read(file.get(), text.data(), text.size() - 1) <= 0) {
    return SyscallError(absl::StrCat("read ", path));
  }
  int64_t size = 0, resident = 0, of_files = 0;
  if (sscanf(text.data(), "%" SCNd64 " %" SCNd64 " %" SCNd64, &size, &resident, &of_files) != 3) {
    return absl::InternalError(absl::StrCat(path, " is not as expected"));
  }
  return (resident - of_files) * sysconf(_SC_PAGESIZE);
}

}  // namespace cloister::sandbox
