// Reading what cgroup and procfs files say. Pure functions: no files, no privileges.
//
// Errors: INVALID_ARGUMENT where the text is not what the kernel writes.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_PARSE_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_PARSE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cloister::sandbox {

// One decimal number, 0 or more, with an optional line end; "max" is INT64_MAX, and so is what is
// larger.
absl::StatusOr<int64_t> ParseCounter(std::string_view text);

// The number after `key` in lines of "key number".
absl::StatusOr<int64_t> ParseKeyedCounter(std::string_view text, std::string_view key);

// Processes killed for lack of memory: "oom_kill N" of v2's memory.events or v1's
// memory.oom_control.
absl::StatusOr<int64_t> ParseOomKills(std::string_view text);

// One pid per line.
absl::StatusOr<std::vector<pid_t>> ParsePids(std::string_view text);

// One mounted cgroup hierarchy of /proc/self/mountinfo.
struct CgroupMount {
  bool unified = false;                  // cgroup2
  std::vector<std::string> controllers;  // v1: those of this hierarchy
  std::string root;                      // the cgroup that is mounted
  std::string mount_point;
};
std::vector<CgroupMount> ParseCgroupMounts(std::string_view mountinfo);

// The cgroup of a process in one hierarchy, by /proc/PID/cgroup: for v1 the line that lists
// `controller`, for v2 (empty controller) the line "0::". Errors: NOT_FOUND.
absl::StatusOr<std::string> ParseOwnCgroup(std::string_view proc_cgroup,
                                           std::string_view controller);

// Where a cgroup is found in the file system, for one that lies in what is mounted.
std::string DirectoryOf(const CgroupMount& mount, std::string_view cgroup);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_PARSE_H_
