#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/scratch_directory.h"
#include "clients/cli/commands/request_builder.h"
#include "clients/cpp/channel.h"
#include "cloister/internal/v1/config.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"
#include "google/protobuf/text_format.h"

namespace cloister::cli::bench {
namespace {

// A server of our own with `ready` idle sandboxes needs at most so long to fill its pool.
constexpr absl::Duration kPatience = absl::Seconds(120);
// The least that shows the template's own cost.
constexpr int kBaseline = 1;

struct Reading {
  int64_t available_bytes = 0;
  std::string python_version;
};

std::string ConfigText(const BenchOptions& options, const std::string& listen, int ready) {
  internal::v1::ServerConfig config;
  config.add_listen(listen);
  config.set_image_directory(options.image_directory);
  config.set_idle_memory_budget_bytes(int64_t{1} << 40);
  config.set_log_level("error");
  internal::v1::TemplateConfig* entry = config.add_templates();
  entry->set_name(options.template_name.empty() ? "python3.14" : options.template_name);
  entry->mutable_pool()->set_minimum_ready(ready);
  entry->mutable_pool()->set_maximum_ready(ready);
  entry->mutable_pool()->set_maximum(ready + 8);
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  return text;
}

// Waits until the pool holds exactly `ready` idle sandboxes. Returns the version of their Python.
absl::StatusOr<std::string> AwaitPool(const std::string& address, int ready,
                                      const ChildProcess& server) {
  const auto stub = v1::InfoService::NewStub(client::CreateChannel(address));
  const absl::Time deadline = absl::Now() + kPatience;
  int seen = 0;
  while (absl::Now() < deadline) {
    if (!server.IsAlive())
      return absl::FailedPreconditionError("cloisterd ended; it says why above");
    grpc::ClientContext context;
    v1::GetInfoResponse info;
    if (stub->GetInfo(&context, v1::GetInfoRequest(), &info).ok() && info.templates_size() > 0) {
      const v1::PoolState& pool = info.templates(0).pool();
      seen = pool.ready_count();
      if (seen == ready && pool.starting_count() == 0) return info.templates(0).python_version();
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::DeadlineExceededError(absl::StrCat("only ", seen, " of ", ready,
                                                  " sandboxes became ready in ",
                                                  absl::FormatDuration(kPatience)));
}

// The median of two seconds: what just ended is still being given back.
std::optional<int64_t> SettledAvailableMemory() {
  std::array<int64_t, 9> readings;
  for (int64_t& reading : readings) {
    absl::SleepFor(absl::Milliseconds(250));
    const std::optional<int64_t> available = AvailableMemoryBytes();
    if (!available) return std::nullopt;
    reading = *available;
  }
  std::nth_element(readings.begin(), readings.begin() + 4, readings.end());
  return readings[4];
}

absl::StatusOr<Reading> ReadWith(const BenchOptions& options, int ready) {
  const std::string program = SiblingProgram("cloisterd");
  if (program.empty()) return absl::NotFoundError("cloisterd is not beside this program");
  const absl::StatusOr<ScratchDirectory> directory = ScratchDirectory::Create();
  if (!directory.ok()) return directory.status();
  // The server gives up its privileges and must still reach its socket.
  ::chmod(directory->path().c_str(), 0755);
  const std::string address = absl::StrCat("unix:", directory->path(), "/cloisterd.sock");
  const std::string config = absl::StrCat(directory->path(), "/config.textproto");
  const absl::Status written = WriteFile(config, ConfigText(options, address, ready));
  if (!written.ok()) return written;
  absl::StatusOr<ChildProcess> server = ChildProcess::Start({program, "--config", config});
  if (!server.ok()) return server.status();
  absl::StatusOr<std::string> version = AwaitPool(address, ready, *server);
  if (!version.ok()) return version.status();
  const std::optional<int64_t> available = SettledAvailableMemory();
  if (!available) return absl::UnavailableError("/proc/meminfo has no MemAvailable");
  return Reading{*available, *std::move(version)};
}

}  // namespace

absl::StatusOr<Report> BenchDensity(const BenchOptions& options) {
  const absl::StatusOr<Reading> few = ReadWith(options, kBaseline);
  if (!few.ok()) return few.status();
  const absl::StatusOr<Reading> many = ReadWith(options, kBaseline + options.sandboxes);
  if (!many.ok()) return many.status();

  Report report;
  report.bench = "density";
  report.machine = MachineJson(many->python_version);
  report.config = {{"sandboxes", options.sandboxes}, {"baseline_sandboxes", kBaseline}};
  const int64_t used = few->available_bytes - many->available_bytes;
  const double each = static_cast<double>(used) / options.sandboxes;
  report.results["idle_sandbox_memory_bytes"] = static_cast<int64_t>(each);
  report.results["available_memory_with_baseline_bytes"] = few->available_bytes;
  report.results["available_memory_with_all_bytes"] = many->available_bytes;
  report.targets = {{"idle_sandbox_memory_bytes", each, 1 << 20, Target::Better::kLower}};
  return report;
}

}  // namespace cloister::cli::bench
