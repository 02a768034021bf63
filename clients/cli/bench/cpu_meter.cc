#include "clients/cli/bench/cpu_meter.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "clients/cli/bench/machine.h"

namespace cloister::cli::bench {
namespace {

absl::Duration Ticks(int64_t ticks) { return absl::Seconds(ticks) / ::sysconf(_SC_CLK_TCK); }

// Field `index` of space-separated `fields` as ticks.
bool AddTicks(const std::vector<absl::string_view>& fields, size_t index, int64_t* sum) {
  int64_t ticks = 0;
  if (index >= fields.size() || !absl::SimpleAtoi(fields[index], &ticks)) return false;
  *sum += ticks;
  return true;
}

}  // namespace

std::optional<pid_t> ServerPid(const std::string& address) {
  absl::string_view path = address;
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (!absl::ConsumePrefix(&path, "unix:") || path.size() >= sizeof(name.sun_path))
    return std::nullopt;
  std::copy(path.begin(), path.end(), name.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  ucred peer = {};
  socklen_t size = sizeof(peer);
  const bool known = ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 &&
                     ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  ::close(fd);
  if (!known || peer.pid <= 0) return std::nullopt;
  return peer.pid;
}

std::optional<absl::Duration> ProcessCpu(const std::string& stat) {
  // The program's name, in parentheses, may hold anything.
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 2), ' ');
  int64_t ticks = 0;
  if (!AddTicks(fields, 11, &ticks) || !AddTicks(fields, 12, &ticks)) return std::nullopt;
  return Ticks(ticks);
}

std::optional<absl::Duration> MachineCpu(const std::string& stat) {
  const absl::string_view line = absl::string_view(stat).substr(0, stat.find('\n'));
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
  int64_t ticks = 0;
  // user, nice, system, then (after idle and iowait) irq and softirq.
  for (const size_t index : {1, 2, 3, 6, 7}) {
    if (!AddTicks(fields, index, &ticks)) return std::nullopt;
  }
  return Ticks(ticks);
}

CpuMeter::CpuMeter(std::optional<pid_t> server) : server_(server), begin_(Read()) {}

CpuMeter::Reading CpuMeter::Read() const {
  Reading reading;
  reading.machine = MachineCpu(ReadSmallFile("/proc/stat")).value_or(absl::ZeroDuration());
  reading.client = ProcessCpu(ReadSmallFile("/proc/self/stat")).value_or(absl::ZeroDuration());
  if (server_)
    reading.server = ProcessCpu(ReadSmallFile(absl::StrCat("/proc/", *server_, "/stat")));
  return reading;
}

void CpuMeter::SetPerCall(size_t calls, Json* results) const {
  if (calls == 0) return;
  const Reading now = Read();
  const auto set = [&](const char* name, absl::Duration used) {
    (*results)[name] =
        std::round(absl::ToDoubleMicroseconds(used) / static_cast<double>(calls) * 10) / 10;
  };
  const absl::Duration machine = now.machine - begin_.machine;
  const absl::Duration client = now.client - begin_.client;
  set("machine_cpu_us_per_call", machine);
  set("client_cpu_us_per_call", client);
  if (!now.server || !begin_.server) return;
  const absl::Duration server = *now.server - *begin_.server;
  set("server_cpu_us_per_call", server);
  set("other_cpu_us_per_call", std::max(absl::ZeroDuration(), machine - client - server));
}

}  // namespace cloister::cli::bench
