// What a server holds of the machine: everything that can leak.

#ifndef CLOISTER_TESTS_INTEGRATION_FOOTPRINT_H_
#define CLOISTER_TESTS_INTEGRATION_FOOTPRINT_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace cloister::testing {

struct Footprint {
  // Of all processes with one name.
  struct Share {
    int64_t processes = 0;
    int64_t descriptors = 0;
    int64_t memory_bytes = 0;
  };

  // Of sandboxes: inits, first and further processes, shadows, those that serve files.
  int64_t sandbox_processes = 0;
  // Of everything that outlives a sandbox, cloisterd, spawner, nurseries and zygotes: how many, and
  // what they have together.
  int64_t lasting_processes = 0;
  int64_t descriptors = 0;  // but for those of cgroups
  int64_t cgroup_descriptors = 0;
  int64_t memory_bytes = 0;
  int64_t mounts = 0;
  // Directories and files in its spawner's cgroups.
  int64_t cgroup_entries = 0;
  // What those that last have, by their names.
  std::map<std::string, Share> shares;

  std::string ToString() const;
};

// What there is more of in `after`, one thing a line, for people to read; "nothing grew" where
// there is nothing.
std::string DescribeGrowth(const Footprint& before, const Footprint& after);

// Of the server with this process and all below it. What is just ending may be in it.
Footprint MeasureFootprint(pid_t server);

// The same once processes and descriptors have been as they are for `rest`, or after `at_most`.
Footprint MeasureAtRest(pid_t server, std::chrono::seconds rest, std::chrono::seconds at_most);

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_FOOTPRINT_H_
