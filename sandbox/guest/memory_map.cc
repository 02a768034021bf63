#include "sandbox/guest/memory_map.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "absl/strings/match.h"

namespace cloister::sandbox {

std::vector<Mapping> PrivateMappings() {
  std::vector<Mapping> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char permissions[5] = {};
    if (sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &mapping.begin, &mapping.end,
               permissions) != 3) {
      continue;
    }
    // Shared memory is not copied; the kernel's own pages are always there.
    if (permissions[0] != 'r' || permissions[3] != 'p' || absl::StrContains(line, "[v")) continue;
    mapping.writable = permissions[1] == 'w';
    mapping.executable = permissions[2] == 'x';
    mapping.is_heap = absl::EndsWith(line, "[heap]");
    if (const size_t slash = line.find('/'); slash != std::string::npos) {
      mapping.file = line.substr(slash);
    }
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

}  // namespace cloister::sandbox
