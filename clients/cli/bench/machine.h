// What the figures were measured on, and where this build's other programs are.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_MACHINE_H_
#define CLOISTER_CLIENTS_CLI_BENCH_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "clients/cli/bench/report.h"

namespace cloister::cli::bench {

// cores, cpu, kernel, memory_bytes, and python where it is known.
Json MachineJson(const std::string& python_version);

// What is after `field` on the line that begins with it, in a text of "field : value" lines as
// /proc has them. Empty where there is none.
std::string ProcField(absl::string_view text, absl::string_view field);

// MemAvailable of /proc/meminfo: what the kernel could give to new programs.
std::optional<int64_t> AvailableMemoryBytes();

// The same as the median of two seconds: what just ended is still being given back.
absl::StatusOr<int64_t> SettledAvailableMemory();

// Where a program of this build is: beside the running one. Empty if it is not there.
std::string SiblingProgram(const std::string& name);

// Where a program is found by PATH. Empty if nowhere.
std::string FindProgram(const std::string& name);

// The whole of a small file; empty where it cannot be read.
std::string ReadSmallFile(const std::string& path);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_MACHINE_H_
