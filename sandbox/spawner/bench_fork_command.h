// `cloister-spawner bench-fork`: measures the floor under the price of a sandbox.

#ifndef CLOISTER_SANDBOX_SPAWNER_BENCH_FORK_COMMAND_H_
#define CLOISTER_SANDBOX_SPAWNER_BENCH_FORK_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cloister/internal/v1/spawner.pb.h"

namespace cloister::sandbox {

struct BenchForkOptions {
  std::string image;
  std::string image_root;
  std::string guest_binary;
  std::vector<std::string> imports;
  int count = 2000;
  int clients = 2;
};

// What --help says: exactly what is measured.
inline constexpr char kBenchForkHelp[] =
    "Measures bare forks of a warmed zygote: the same guest binary, image and warm-up imports as a "
    "real zygote, in the same namespaces. Each fork is: the runtime's before-fork hook, clone3 "
    "without "
    "any new namespace, the runtime's after-fork hooks in parent and child, the runtime's Prepare "
    "in "
    "the child (renewing randomness, touching what a first program needs), exit, wait. Left out "
    "are "
    "the sandbox's own namespaces and mounts, confinement, the cgroup, all messages, and running a "
    "program. First with one zygote, then with --clients zygotes at once, which start together.";

// Runs the benchmark and prints one JSON object on stdout.
absl::Status RunBenchFork(const internal::v1::Facilities& facilities,
                          const BenchForkOptions& options);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_BENCH_FORK_COMMAND_H_
