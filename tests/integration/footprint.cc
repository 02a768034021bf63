#include "tests/integration/footprint.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

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
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

// Those that are not of cgroups are returned as well.
int64_t CountDescriptors(pid_t pid, Footprint* footprint) {
  std::error_code error;
  int64_t others = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    ++(absl::StartsWith(target, "/sys/fs/cgroup/") ? footprint->cgroup_descriptors : others);
  }
  footprint->descriptors += others;
  return others;
}

bool IsOfASandbox(const std::string& name) {
  return absl::StartsWith(name, "sandbox") || name == "files";
}

class GrowthReport {
 public:
  void Compare(const std::string& what, int64_t before, int64_t after) {
    if (after > before) {
      absl::StrAppend(&text_, "  ", what, ": ", before, " -> ", after, " (+", after - before,
                      ")\n");
    }
  }
  std::string Take() { return text_.empty() ? "nothing grew\n" : "grew:\n" + std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string Footprint::ToString() const {
  return absl::StrCat(sandbox_processes, " processes of sandboxes, ", lasting_processes,
                      " others with ", descriptors, " descriptors and ", cgroup_descriptors,
                      " of cgroups, ", memory_bytes, " resident bytes and ", mounts, " mounts; ",
                      cgroup_entries, " cgroup entries");
}

std::string DescribeGrowth(const Footprint& before, const Footprint& after) {
  GrowthReport report;
  report.Compare("processes of sandboxes", before.sandbox_processes, after.sandbox_processes);
  report.Compare("mounts", before.mounts, after.mounts);
  report.Compare("cgroup entries", before.cgroup_entries, after.cgroup_entries);
  report.Compare("descriptors of cgroups", before.cgroup_descriptors, after.cgroup_descriptors);
  for (const auto& [name, share] : after.shares) {
    const auto found = before.shares.find(name);
    const Footprint::Share was = found != before.shares.end() ? found->second : Footprint::Share();
    report.Compare(name + " processes", was.processes, share.processes);
    report.Compare(name + " descriptors", was.descriptors, share.descriptors);
    report.Compare(name + " resident bytes", was.memory_bytes, share.memory_bytes);
  }
  return report.Take();
}

Footprint MeasureFootprint(pid_t server) {
  Footprint footprint;
  const std::vector<pid_t> tree = ProcessTree(server);
  for (const pid_t pid : tree) {
    const std::string name = ProcessName(pid);
    if (name.empty()) continue;  // just gone
    if (IsOfASandbox(name)) {
      ++footprint.sandbox_processes;
      continue;
    }
    ++footprint.lasting_processes;
    Footprint::Share& share = footprint.shares[name];
    ++share.processes;
    share.descriptors += CountDescriptors(pid, &footprint);
    const int64_t memory = ResidentBytes(pid);
    share.memory_bytes += memory;
    footprint.memory_bytes += memory;
    footprint.mounts += CountLines(absl::StrCat("/proc/", pid, "/mountinfo"));
  }
  for (const std::string& base : CgroupsOf(tree)) footprint.cgroup_entries += CountEntries(base);
  return footprint;
}

Footprint MeasureAtRest(pid_t server, std::chrono::seconds rest, std::chrono::seconds at_most) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + at_most;
  Footprint last = MeasureFootprint(server);
  auto since = steady_clock::now();
  while (steady_clock::now() < std::min(deadline, since + rest)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const Footprint now = MeasureFootprint(server);
    if (now.sandbox_processes != last.sandbox_processes ||
        now.lasting_processes != last.lasting_processes || now.descriptors != last.descriptors) {
      since = steady_clock::now();
    }
    last = now;
  }
  return last;
}

}  // namespace cloister::testing
