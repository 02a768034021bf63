#include "clients/cli/bench/anchors.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/machine.h"

namespace cloister::cli::bench {
namespace {

constexpr int kProcessRuns = 100;
constexpr absl::Duration kProcessThroughputTime = absl::Seconds(3);

// "3.14.10" -> "python3.14"
std::string PythonName(const std::string& version) {
  const std::vector<std::string> parts = absl::StrSplit(version, '.');
  return parts.size() < 2 ? "python3" : absl::StrCat("python", parts[0], ".", parts[1]);
}

// Runs a program `kProcessRuns` times, one after another.
absl::StatusOr<LatencySample> RunSerially(const std::vector<std::string>& argv) {
  LatencySample sample;
  for (int i = 0; i < kProcessRuns; ++i) {
    const absl::Time start = absl::Now();
    const absl::StatusOr<ProgramOutput> output = RunToEnd(argv, /*capture=*/true);
    if (!output.ok()) return output.status();
    sample.Add(absl::Now() - start);
    if (output->exit_code != 0 || output->out != "1\n") {
      return absl::InternalError(absl::StrCat("`", absl::StrJoin(argv, " "),
                                              "` ended with exit code ", output->exit_code,
                                              " and wrote \"", output->out, "\""));
    }
  }
  return sample;
}

// How many ended in kProcessThroughputTime, with one runner per core.
double RunInParallel(const std::vector<std::string>& argv) {
  const absl::Time end = absl::Now() + kProcessThroughputTime;
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<int64_t> counts(cores, 0);
  std::vector<std::thread> runners;
  for (int64_t& count : counts) {
    runners.emplace_back([&argv, &count, end] {
      while (true) {
        const auto output = RunToEnd(argv, /*capture=*/true);
        if (!output.ok() || output->exit_code != 0 || absl::Now() > end) return;
        ++count;
      }
    });
  }
  for (std::thread& runner : runners) runner.join();
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  return static_cast<double>(total) / absl::ToDoubleSeconds(kProcessThroughputTime);
}

Json MeasureProcess(const std::vector<std::string>& argv) {
  (void)RunToEnd(argv, /*capture=*/true);  // reads the files once
  const absl::StatusOr<LatencySample> sample = RunSerially(argv);
  if (!sample.ok()) return Absent(std::string(sample.status().message()));
  Json results;
  SetLatency(*sample, "", &results);
  results["throughput_per_second"] = RunInParallel(argv);
  results["command"] = absl::StrJoin(argv, " ");
  return results;
}

}  // namespace

Json Absent(const std::string& reason) { return Json{{"absent", reason}}; }

Json BareForkResults(const Json& json) {
  const auto object = [&json](const char* name) {
    const bool is_there = json.is_object() && json.contains(name) && json[name].is_object();
    return is_there ? json[name] : Json::object();
  };
  const Json serial = object("serial");
  const Json parallel = object("parallel");
  const std::optional<double> per_second = Number(parallel, "forks_per_second");
  if (!per_second) return Absent("cloister-spawner bench-fork printed no forks_per_second");
  Json results;
  results["latency_p50_us"] = Number(serial, "p50_us").value_or(0);
  results["latency_p99_us"] = Number(serial, "p99_us").value_or(0);
  results["serial_per_second"] = Number(serial, "forks_per_second").value_or(0);
  results["throughput_per_second"] = *per_second;
  return results;
}

Json MeasureEcho(const BenchOptions& options) {
  const absl::StatusOr<Report> report = BenchEcho(options);
  return report.ok() ? report->results : Absent(std::string(report.status().message()));
}

Json MeasureBareFork(const ImageUnderTest& image) {
  const std::string spawner = SiblingProgram("cloister-spawner");
  if (spawner.empty()) return Absent("cloister-spawner is not beside this program");
  if (::geteuid() != 0) return Absent("forking a zygote inside the image needs root");
  const std::string guest = (std::filesystem::path(spawner).parent_path() / "../lib/cloister" /
                             absl::StrCat("cloister-guest-", image.name))
                                .lexically_normal();
  if (::access(guest.c_str(), X_OK) != 0) return Absent(absl::StrCat("there is no ", guest));
  std::vector<std::string> argv = {
      spawner,   "bench-fork", "--image",      image.name,
      "--guest", guest,        "--image_root", image.root,
      "--count", "4000",       "--clients",    absl::StrCat(std::thread::hardware_concurrency()),
      "--json"};
  for (const std::string& name : image.warm_up_imports) {
    argv.insert(argv.end(), {"--import", name});
  }
  const absl::StatusOr<ProgramOutput> output = RunToEnd(argv, /*capture=*/true);
  if (!output.ok()) return Absent(std::string(output.status().message()));
  if (output->exit_code != 0) {
    return Absent(
        absl::StrCat("`", absl::StrJoin(argv, " "), "` ended with exit code ", output->exit_code));
  }
  return BareForkResults(Json::parse(output->out, nullptr, /*allow_exceptions=*/false));
}

Json MeasureBwrap(const ImageUnderTest& image) {
  const std::string bwrap = FindProgram("bwrap");
  if (bwrap.empty()) return Absent("bwrap is not installed (Debian: apt install bubblewrap)");
  const std::string python = absl::StrCat("/usr/bin/", PythonName(image.python_version));
  if (::access(absl::StrCat(image.root, python).c_str(), X_OK) != 0) {
    return Absent(absl::StrCat("there is no ", image.root, python));
  }
  return MeasureProcess({bwrap, "--ro-bind", image.root, "/", "--proc", "/proc", "--dev", "/dev",
                         "--tmpfs", "/tmp", "--unshare-all", "--die-with-parent", python, "-I",
                         "-c", "print(1)"});
}

Json MeasurePython() {
  // The distribution's own: a version manager's wrapper script would be measured otherwise.
  std::string python = "/usr/bin/python3";
  if (::access(python.c_str(), X_OK) != 0) python = FindProgram("python3");
  if (python.empty()) return Absent("python3 is not installed");
  return MeasureProcess({python, "-I", "-c", "print(1)"});
}

}  // namespace cloister::cli::bench
