#include "sandbox/host/resource_meter.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::sandbox {
namespace {

// The head of a small kernel file, from its beginning; empty where it cannot be read.
std::string ReadHead(int fd) {
  char text[512];
  const ssize_t got = ::pread(fd, text, sizeof(text), 0);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

// Asked for once: it costs a system call each time, and stays what it is. None where the process is
// gone.
std::optional<clockid_t> CpuClockOf(pid_t pid) {
  clockid_t clock;
  if (::clock_getcpuclockid(pid, &clock) != 0) return std::nullopt;
  return clock;
}

// User and system time of a process; `fallback` where it is gone.
absl::Duration ReadClock(std::optional<clockid_t> clock, absl::Duration fallback) {
  timespec time;
  if (!clock.has_value() || ::clock_gettime(*clock, &time) != 0) return fallback;
  return absl::DurationFromTimespec(time);
}

// Resident set in bytes; 0 where the process is gone.
int64_t ResidentBytes(pid_t pid) {
  const UniqueFd statm(::open(absl::StrCat("/proc/", pid, "/statm").c_str(), O_RDONLY | O_CLOEXEC));
  if (!statm) return 0;
  const std::vector<std::string> fields = absl::StrSplit(ReadHead(statm.get()), ' ');
  int64_t pages = 0;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[1], &pages)) return 0;
  return pages * ::sysconf(_SC_PAGESIZE);
}

// What cpuacct.usage (nanoseconds) or cpu.stat (its first line, in microseconds) tells; `fallback`
// where it tells nothing.
absl::Duration GroupCpuTime(int fd, absl::Duration fallback) {
  const std::string text = ReadHead(fd);
  absl::string_view number = text;
  const bool is_v2 = absl::ConsumePrefix(&number, "usage_usec ");
  int64_t value = 0;
  if (!absl::SimpleAtoi(number.substr(0, number.find('\n')), &value)) return fallback;
  return is_v2 ? absl::Microseconds(value) : absl::Nanoseconds(value);
}

}  // namespace

ResourceMeter::ResourceMeter(pid_t pid, UniqueFd peak, UniqueFd cpu)
    : pid_(pid), peak_(std::move(peak)), cpu_(std::move(cpu)), cpu_clock_(CpuClockOf(pid)) {
  if (cpu_) cpu_before_ = GroupCpuTime(cpu_.get(), absl::ZeroDuration());
}

absl::Duration ResourceMeter::ReadCpuTime() const {
  if (cpu_time_ != nullptr) return cpu_time_();
  if (!cpu_) return ReadClock(cpu_clock_, last_cpu_);
  return GroupCpuTime(cpu_.get(), cpu_before_ + last_cpu_) - cpu_before_;
}

void ResourceMeter::Start() {
  cpu_at_start_ = last_cpu_ = ReadCpuTime();
  if (must_sample()) resident_at_start_ = ResidentBytes(pid_);
}

absl::Duration ResourceMeter::CpuTime() {
  last_cpu_ = ReadCpuTime();
  return last_cpu_ - cpu_at_start_;
}

absl::Duration ResourceMeter::SinceStart(absl::Duration whole_life) const {
  return std::max(whole_life, last_cpu_) - cpu_at_start_;
}

int64_t ResourceMeter::SampleMemory() {
  const int64_t above = std::max<int64_t>(ResidentBytes(pid_) - resident_at_start_, 0);
  peak_sample_ = std::max(peak_sample_, above);
  return above;
}

int64_t ResourceMeter::PeakMemory() {
  if (must_sample()) {
    (void)SampleMemory();
    return peak_sample_;
  }
  int64_t bytes = 0;
  return absl::SimpleAtoi(ReadHead(peak_.get()), &bytes) ? bytes : 0;
}

}  // namespace cloister::sandbox
