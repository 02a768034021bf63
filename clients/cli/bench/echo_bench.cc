#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/closed_loop.h"
#include "clients/cli/bench/cpu_meter.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/scratch_directory.h"
#include "cloister/client/channel.h"
#include "cloister/internal/v1/echo.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

using internal::v1::EchoRequest;
using internal::v1::EchoResponse;
using internal::v1::EchoService;

// About what RunCode of print(1) weighs.
constexpr size_t kPayloadBytes = 64;

struct EchoCall {
  grpc::ClientContext context;
  EchoRequest request;
  EchoResponse response;
};

class EchoCaller {
 public:
  EchoCaller(const std::string& address, int channels) {
    for (int i = 0; i < channels; ++i)
      stubs_.push_back(EchoService::NewStub(client::CreateChannel(address)));
  }

  Call AsCall() {
    return [this](int index, Done done) {
      auto call = std::make_shared<EchoCall>();
      call->request.set_payload(std::string(kPayloadBytes, 'x'));
      stubs_[static_cast<size_t>(index) % stubs_.size()]->async()->Echo(
          &call->context, &call->request, &call->response,
          [call, done = std::move(done)](const grpc::Status& status) {
            done(status.ok() && call->response.payload().size() == kPayloadBytes);
          });
    };
  }

 private:
  std::vector<std::unique_ptr<EchoService::Stub>> stubs_;
};

}  // namespace

absl::StatusOr<Report> BenchEcho(const BenchOptions& options) {
  const absl::StatusOr<ScratchDirectory> directory = ScratchDirectory::Create();
  if (!directory.ok()) return directory.status();
  const std::string address = absl::StrCat("unix:", directory->path(), "/echo.sock");
  absl::StatusOr<ChildProcess> server =
      ChildProcess::Start({"/proc/self/exe", "bench-echo-server", "--listen", address});
  if (!server.ok()) return server.status();
  const absl::StatusOr<std::string> ready = server->ReadLine();
  if (!ready.ok()) return ready.status();

  Report report;
  report.bench = "echo";
  report.machine = MachineJson("");
  report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                   {"clients", options.clients},
                   {"channels", options.channels},
                   {"payload_bytes", kPayloadBytes},
                   {"transport", "unix socket"}};
  EchoCaller one(address, 1);
  const absl::Duration warm_up = options.duration / 10;
  const LoadResult latency = RunClosedLoop(1, warm_up, options.duration / 2, one.AsCall());
  const LoadResult paced = RunPaced(options.rate, options.duration / 2, one.AsCall());
  EchoCaller many(address, options.channels);
  const CpuMeter meter(server->pid());
  const LoadResult load = RunClosedLoop(options.clients, warm_up, options.duration, many.AsCall());
  SetLatency(latency.latency, "", &report.results);
  SetLatency(paced.latency, "paced_", &report.results);
  SetLatency(load.latency, "throughput_", &report.results);
  report.results["throughput_per_second"] = load.SucceededPerSecond();
  report.results["error_count"] = latency.failed_count + paced.failed_count + load.failed_count;
  meter.SetPerCall(load.latency.count(), &report.results);
  return report;
}

}  // namespace cloister::cli::bench
