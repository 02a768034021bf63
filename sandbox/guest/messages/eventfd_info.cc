#include "sandbox/guest/messages/eventfd_info.h"

#include <cinttypes>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {

EventfdInfo ReadEventfdInfo(int fd) {
  EventfdInfo info;
  const std::string path = absl::StrCat("/proc/self/fdinfo/", fd);
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return info;
  char line[128];
  while (fgets(line, sizeof(line), file) != nullptr) {
    uint64_t count;
    int is_semaphore;
    if (sscanf(line, "eventfd-count: %" SCNx64, &count) == 1) info.count = count;
    if (sscanf(line, "eventfd-semaphore: %d", &is_semaphore) == 1) {
      info.is_semaphore = is_semaphore != 0;
    }
  }
  fclose(file);
  return info;
}

}  // namespace cloister::sandbox
