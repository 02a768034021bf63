#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/closed_loop.h"
#include "clients/cli/bench/cpu_meter.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"
#include "cloister/v1/execution_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

constexpr char kCell[] = "x=1";

// What notebook users have: a kernel of the machine's own, warm, asked through jupyter_client.
constexpr char kKernelProgram[] = R"(
import json, time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
def run():
    begin = time.perf_counter()
    client.execute_interactive("x=1", store_history=False, timeout=30)
    return (time.perf_counter() - begin) * 1e6
for _ in range(20):
    run()
times = sorted(run() for _ in range(300))
client.stop_channels()
manager.shutdown_kernel(now=True)
print(json.dumps({"latency_p50_us": times[150], "latency_p99_us": times[297],
                  "latency_count": len(times)}))
)";

Json MeasureKernel() {
  const std::vector<std::string> argv = {"/usr/bin/python3", "-c", kKernelProgram};
  const absl::StatusOr<ProgramOutput> output = RunToEnd(argv, /*capture=*/true);
  if (!output.ok()) return Absent(std::string(output.status().message()));
  if (output->exit_code != 0) {
    return Absent("ipykernel is not installed (Debian: apt install python3-ipykernel)");
  }
  const Json results = Json::parse(output->out, nullptr, /*allow_exceptions=*/false);
  return results.is_object() ? results : Absent("the kernel's client printed no figures");
}

absl::Status MakeSandboxes(int count, const std::string& template_name, LiveSandboxes* sandboxes,
                           LatencySample* took) {
  for (int i = 0; i < count; ++i) {
    const absl::Time begin = absl::Now();
    const absl::StatusOr<std::string> made = sandboxes->Create(template_name);
    if (!made.ok()) return made.status();
    took->Add(absl::Now() - begin);
  }
  return absl::OkStatus();
}

struct CellCall {
  grpc::ClientContext context;
  v1::RunCodeResponse response;
};

// Each client has a sandbox of its own.
class CellCaller {
 public:
  CellCaller(const std::string& address, const std::vector<std::string>& sandboxes, int channels) {
    for (const std::string& name : sandboxes) {
      v1::RunCodeRequest& request = requests_.emplace_back();
      request.set_interpreter(name);
      request.mutable_program()->set_code(kCell);
    }
    for (int i = 0; i < channels; ++i) {
      stubs_.push_back(v1::ExecutionService::NewStub(client::CreateChannel(address)));
    }
  }

  Call AsCall() {
    return [this](int index, Done done) {
      auto call = std::make_shared<CellCall>();
      const auto client = static_cast<size_t>(index);
      stubs_[client % stubs_.size()]->async()->RunCode(
          &call->context, &requests_[client % requests_.size()], &call->response,
          [call, done = std::move(done)](const grpc::Status& status) {
            done(status.ok() && call->response.outcome().kind() == v1::Outcome::KIND_SUCCEEDED);
          });
    };
  }

 private:
  std::vector<v1::RunCodeRequest> requests_;
  std::vector<std::unique_ptr<v1::ExecutionService::Stub>> stubs_;
};

std::vector<Target> SessionTargets(const Report& report) {
  const auto anchor = [&](const char* name) {
    const auto found = report.anchors.find(name);
    return found == report.anchors.end() ? Json::object() : *found;
  };
  const Json echo = anchor("grpc_echo");
  const auto p50 = Number(report.results, "latency_p50_us");
  using enum Target::Better;
  return {
      {"latency_p50_us at most 2.5 times echo", p50, Times(Number(echo, "latency_p50_us"), 2.5),
       kLower},
      {"throughput_per_second at least 40 % of echo",
       Number(report.results, "throughput_per_second"),
       Times(Number(echo, "throughput_per_second"), 0.4), kHigher},
      {"times faster than ipykernel (p50)",
       Ratio(Number(anchor("ipykernel"), "latency_p50_us"), p50), 20, kHigher},
      {"error_count", Number(report.results, "error_count"), 0, kLower},
  };
}

}  // namespace

absl::StatusOr<Report> BenchSession(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Report report;
  report.bench = "session";
  LatencySample creation;
  {
    LiveSandboxes sandboxes(*address);
    const absl::Status made =
        MakeSandboxes(options.clients, options.template_name, &sandboxes, &creation);
    if (!made.ok()) return made;
    SetLatency(creation, "create_", &report.results);

    CellCaller one(*address, {sandboxes.names().front()}, 1);
    const LoadResult latency =
        RunClosedLoop(1, options.duration / 10, options.duration, one.AsCall());
    SetLatency(latency.latency, "", &report.results);

    CellCaller many(*address, sandboxes.names(), options.channels);
    const CpuMeter meter(ServerPid(*address));
    const LoadResult load =
        RunClosedLoop(options.clients, options.duration / 10, options.duration, many.AsCall());
    SetLatency(load.latency, "throughput_", &report.results);
    report.results["throughput_per_second"] = load.SucceededPerSecond();
    meter.SetPerCall(load.latency.count(), &report.results);
    report.results["error_count"] = latency.failed_count + load.failed_count;
  }
  report.machine = MachineJson("");
  report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                   {"clients", options.clients},
                   {"channels", options.channels},
                   {"cell", kCell},
                   {"server", *address}};
  if (!options.no_anchors) {
    report.anchors["grpc_echo"] = MeasureEcho(options);
    report.anchors["ipykernel"] = MeasureKernel();
  }
  report.targets = SessionTargets(report);
  return report;
}

}  // namespace cloister::cli::bench
