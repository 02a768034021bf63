// Who used the processor while something was measured: everybody, this process, and the server.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_CPU_METER_H_
#define CLOISTER_CLIENTS_CLI_BENCH_CPU_METER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "clients/cli/bench/report.h"

namespace cloister::cli::bench {

// The process that listens on a "unix:/path" address; none for other addresses.
std::optional<pid_t> ServerPid(const std::string& address);

// User and system time out of a /proc/PID/stat; none where it is not one.
std::optional<absl::Duration> ProcessCpu(const std::string& stat);

// Time all cores together did not idle, out of /proc/stat.
std::optional<absl::Duration> MachineCpu(const std::string& stat);

// Measures from its construction on. Resolution: 10 ms, so it says something of runs of seconds.
class CpuMeter {
 public:
  explicit CpuMeter(std::optional<pid_t> server);

  // Sets machine_, client_, and where known server_ and other_cpu_us_per_call of `results`; other
  // is what neither of us used: spawner, zygotes and sandboxes, and whoever else is on this
  // machine.
  void SetPerCall(size_t calls, Json* results) const;

 private:
  struct Reading {
    absl::Duration machine;
    absl::Duration client;
    std::optional<absl::Duration> server;
  };
  Reading Read() const;

  const std::optional<pid_t> server_;
  const Reading begin_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_CPU_METER_H_
