#include "clients/cli/bench/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "clients/cli/commands/request_builder.h"

namespace cloister::cli::bench {
namespace {

std::optional<int64_t> MemoryField(absl::string_view field) {
  int64_t kib = 0;
  const std::string value = ProcField(ReadSmallFile("/proc/meminfo"), field);
  if (!absl::SimpleAtoi(absl::StripSuffix(value, " kB"), &kib)) return std::nullopt;
  return kib << 10;
}

}  // namespace

Json MachineJson(const std::string& python_version) {
  Json machine;
  machine["cores"] = std::thread::hardware_concurrency();
  machine["cpu"] = ProcField(ReadSmallFile("/proc/cpuinfo"), "model name");
  utsname name;
  if (::uname(&name) == 0) machine["kernel"] = name.release;
  if (const auto memory = MemoryField("MemTotal")) machine["memory_bytes"] = *memory;
  if (!python_version.empty()) machine["python"] = python_version;
  return machine;
}

std::string ProcField(absl::string_view text, absl::string_view field) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, field)) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, ":")) return std::string(absl::StripAsciiWhitespace(line));
  }
  return "";
}

std::optional<int64_t> AvailableMemoryBytes() { return MemoryField("MemAvailable"); }

absl::StatusOr<int64_t> SettledAvailableMemory() {
  std::array<int64_t, 9> readings;
  for (int64_t& reading : readings) {
    absl::SleepFor(absl::Milliseconds(250));
    const std::optional<int64_t> available = AvailableMemoryBytes();
    if (!available) return absl::UnavailableError("/proc/meminfo has no MemAvailable");
    reading = *available;
  }
  std::nth_element(readings.begin(), readings.begin() + 4, readings.end());
  return readings[4];
}

std::string SiblingProgram(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path path = self.parent_path() / name;
  return !error && ::access(path.c_str(), X_OK) == 0 ? path.string() : "";
}

std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const absl::string_view directory :
       absl::StrSplit(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string candidate = absl::StrCat(directory, "/", name);
    if (!directory.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

std::string ReadSmallFile(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadInput(path);
  return content.ok() ? *content : "";
}

}  // namespace cloister::cli::bench
