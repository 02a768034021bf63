#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/live_density.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/own_server.h"
#include "cloister/client/channel.h"
#include "cloister/internal/v1/config.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

// A server of our own with `ready` idle sandboxes needs at most so long to fill its pool.
constexpr absl::Duration kPatience = absl::Seconds(120);
// The least that shows the template's own cost.
constexpr int kBaseline = 1;
// What the pool keeps ready while live sandboxes are made.
constexpr int kReadyBesideLive = 8;
constexpr double kThousandLiveBytes = 2.0 * (int64_t{1} << 30);

struct Reading {
  int64_t available_bytes = 0;
  std::string python_version;
};

// Waits until the pool holds exactly `ready` idle sandboxes. Returns the version of their Python.
absl::StatusOr<std::string> AwaitPool(const OwnServer& server, int ready) {
  const auto stub = v1::InfoService::NewStub(client::CreateChannel(server.address()));
  const absl::Time deadline = absl::Now() + kPatience;
  int seen = 0;
  while (absl::Now() < deadline) {
    if (!server.IsAlive()) return OwnServer::EndedError();
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

// One template whose pool keeps `ready` sandboxes.
internal::v1::ServerConfig ConfigOf(const BenchOptions& options, int ready) {
  internal::v1::ServerConfig config;
  config.set_image_directory(options.image_directory);
  config.set_idle_memory_budget_bytes(int64_t{1} << 40);
  internal::v1::TemplateConfig* entry = config.add_templates();
  entry->set_name(options.template_name.empty() ? "python3.14" : options.template_name);
  entry->mutable_pool()->set_minimum_ready(ready);
  entry->mutable_pool()->set_maximum_ready(ready);
  entry->mutable_pool()->set_maximum(ready + 8);
  return config;
}

absl::StatusOr<Reading> ReadWith(const BenchOptions& options, int ready) {
  const absl::StatusOr<OwnServer> server = OwnServer::Start(ConfigOf(options, ready));
  if (!server.ok()) return server.status();
  absl::StatusOr<std::string> version = AwaitPool(*server, ready);
  if (!version.ok()) return version.status();
  const absl::StatusOr<int64_t> available = SettledAvailableMemory();
  if (!available.ok()) return available.status();
  return Reading{*available, *std::move(version)};
}

}  // namespace

absl::StatusOr<Report> BenchDensity(const BenchOptions& options) {
  const absl::StatusOr<Reading> few = ReadWith(options, kBaseline);
  if (!few.ok()) return few.status();
  const absl::StatusOr<Reading> many = ReadWith(options, kBaseline + options.sandboxes);
  if (!many.ok()) return many.status();

  const absl::StatusOr<LiveDensity> live =
      MeasureLiveDensity(ConfigOf(options, kReadyBesideLive), options.live_sandboxes);
  if (!live.ok()) return live.status();

  Report report;
  report.bench = "density";
  report.machine = MachineJson(many->python_version);
  report.config = {{"sandboxes", options.sandboxes},
                   {"baseline_sandboxes", kBaseline},
                   {"live_sandboxes", options.live_sandboxes}};
  const int64_t used = few->available_bytes - many->available_bytes;
  const double each = static_cast<double>(used) / options.sandboxes;
  report.results["idle_sandbox_memory_bytes"] = static_cast<int64_t>(each);
  report.results["available_memory_with_baseline_bytes"] = few->available_bytes;
  report.results["available_memory_with_all_bytes"] = many->available_bytes;
  report.results["live_sandbox_memory_bytes"] = live->memory_bytes / options.live_sandboxes;
  report.results["all_live_sandboxes_memory_bytes"] = live->memory_bytes;
  report.results["live_start_per_second"] = live->started_per_second;
  SetLatency(live->cells, "cell_among_all_live_", &report.results);
  const double thousand = 1000.0 * static_cast<double>(live->memory_bytes) / options.live_sandboxes;
  report.targets = {{"idle_sandbox_memory_bytes", each, 1 << 20, Target::Better::kLower},
                    {"thousand_live_sandboxes_memory_bytes", thousand, kThousandLiveBytes,
                     Target::Better::kLower}};
  return report;
}

}  // namespace cloister::cli::bench
