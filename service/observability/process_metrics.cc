#include "service/observability/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace cloister::observability {
namespace {

// What proc(5) calls utime, stime, starttime, vsize and rss, in their units.
struct Stat {
  double user_ticks = 0;
  double system_ticks = 0;
  double start_ticks = 0;
  double virtual_bytes = 0;
  double resident_pages = 0;
};

std::optional<Stat> ReadStat() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // The program's name, in parentheses, may hold anything; field 3 follows the last one.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(name_end + 1));
  Stat stat;
  std::string field;
  for (int number = 3; rest >> field; ++number) {
    if (number == 14) stat.user_ticks = std::stod(field);
    if (number == 15) stat.system_ticks = std::stod(field);
    if (number == 22) stat.start_ticks = std::stod(field);
    if (number == 23) stat.virtual_bytes = std::stod(field);
    if (number == 24) {
      stat.resident_pages = std::stod(field);
      return stat;
    }
  }
  return std::nullopt;
}

// Seconds since the epoch at which the machine started; 0 where unknown.
double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("btime ", 0) == 0) return std::stod(line.substr(6));
  }
  return 0;
}

double OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  if (error) return 0;
  // The iterator's own descriptor is among them.
  return static_cast<double>(std::distance(entries, std::filesystem::directory_iterator())) - 1;
}

prometheus::MetricFamily Family(std::string name, std::string help, prometheus::MetricType type,
                                double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {std::move(name), std::move(help), type, {metric}};
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families;
  if (const std::optional<Stat> stat = ReadStat()) {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    families.push_back(
        Family("process_cpu_seconds_total", "Processor time of the server itself, user and system.",
               MetricType::Counter, (stat->user_ticks + stat->system_ticks) / ticks));
    families.push_back(Family("process_resident_memory_bytes", "Resident memory of the server.",
                              MetricType::Gauge, stat->resident_pages * page));
    families.push_back(Family("process_virtual_memory_bytes", "Virtual memory of the server.",
                              MetricType::Gauge, stat->virtual_bytes));
    families.push_back(Family("process_start_time_seconds",
                              "When the server started, since the epoch.", MetricType::Gauge,
                              BootTime() + stat->start_ticks / ticks));
  }
  families.push_back(Family("process_open_fds", "Open file descriptors of the server.",
                            MetricType::Gauge, OpenDescriptors()));
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    families.push_back(Family("process_max_fds", "Most file descriptors the server may open.",
                              MetricType::Gauge, static_cast<double>(descriptors.rlim_cur)));
  }
  return families;
}

}  // namespace cloister::observability
