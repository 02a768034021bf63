#include "tests/integration/footprint.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

int64_t CountEntries(const std::string& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator begin(directory, error);
  return error ? 0 : std::distance(begin, std::filesystem::directory_iterator());
}

int64_t CountLines(const std::string& path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

void CountDescriptors(pid_t pid, Footprint* footprint) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    ++(absl::StartsWith(target, "/sys/fs/cgroup/") ? footprint->cgroup_descriptors
                                                   : footprint->descriptors);
  }
}

}  // namespace

std::string Footprint::ToString() const {
  return absl::StrCat(sandbox_processes, " processes of sandboxes, ", lasting_processes,
                      " others with ", descriptors, " descriptors and ", cgroup_descriptors, " of cgroups, ", memory_bytes,
                      " resident bytes and ", mounts, " mounts; ", cgroup_entries,
                      " cgroup entries");
}

Footprint MeasureFootprint(pid_t server) {
  Footprint footprint;
  for (const pid_t pid : ProcessTree(server)) {
    const std::string name = ProcessName(pid);
    if (name.empty()) continue;  // just gone
    if (absl::StartsWith(name, "sandbox")) {
      ++footprint.sandbox_processes;
      continue;
    }
    ++footprint.lasting_processes;
    CountDescriptors(pid, &footprint);
    footprint.memory_bytes += ResidentBytes(pid);
    footprint.mounts += CountLines(absl::StrCat("/proc/", pid, "/mountinfo"));
  }
  for (const std::string& base : CgroupLeftovers()) footprint.cgroup_entries += CountEntries(base);
  return footprint;
}

}  // namespace cloister::testing
