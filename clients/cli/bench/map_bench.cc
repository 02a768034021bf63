#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/closed_loop.h"
#include "clients/cli/bench/cpu_meter.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"
#include "cloister/client/service_error.h"
#include "cloister/v1/execution_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

constexpr char kProgram[] = "print(1)";
constexpr int kInputs = 1000;
constexpr int kMaximumConcurrency = 64;  // of MapCode

v1::MapCodeRequest MapRequest(const BenchOptions& options, int concurrency) {
  v1::MapCodeRequest request;
  request.set_template_(options.template_name);
  request.mutable_program()->set_code(kProgram);
  request.set_concurrency(concurrency);
  request.set_order(v1::MapCodeRequest::ORDER_COMPLETION);
  for (int i = 0; i < kInputs; ++i) request.add_inputs();
  return request;
}

// One map to its end; an error where a verdict is not a success.
absl::Status RunMap(v1::ExecutionService::Stub* stub, const v1::MapCodeRequest& request,
                    const std::string& address) {
  grpc::ClientContext context;
  const auto reader = stub->MapCode(&context, request);
  v1::MapCodeResponse response;
  int succeeded = 0;
  while (reader->Read(&response)) {
    if (response.has_summary()) succeeded = response.summary().succeeded_count();
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) {
    return absl::UnavailableError(client::ErrorText(client::ParseServiceError(status), address));
  }
  if (succeeded == kInputs) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(kInputs - succeeded, " of ", kInputs, " inputs failed"));
}

// The same programs, a call each.
Json MeasureFresh(const BenchOptions& options, const std::string& address, int concurrency) {
  const auto stub = v1::ExecutionService::NewStub(client::CreateChannel(address));
  v1::RunCodeRequest request;
  request.set_template_(options.template_name);
  request.mutable_program()->set_code(kProgram);
  struct RunCall {
    grpc::ClientContext context;
    v1::RunCodeResponse response;
  };
  const LoadResult load =
      RunClosedLoop(concurrency, options.duration / 10, options.duration, [&](int, Done done) {
        auto call = std::make_shared<RunCall>();
        stub->async()->RunCode(
            &call->context, &request, &call->response,
            [call, done = std::move(done)](const grpc::Status& status) {
              done(status.ok() && call->response.outcome().kind() == v1::Outcome::KIND_SUCCEEDED);
            });
      });
  Json results = Json::object();
  SetLatency(load.latency, "", &results);
  results["throughput_per_second"] = load.SucceededPerSecond();
  results["error_count"] = load.failed_count;
  return results;
}

}  // namespace

absl::StatusOr<Report> BenchMap(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  const auto stub = v1::ExecutionService::NewStub(client::CreateChannel(*address));
  const int concurrency = std::min(options.clients, kMaximumConcurrency);
  const v1::MapCodeRequest request = MapRequest(options, concurrency);

  Report report;
  report.bench = "map";
  // Warms the pool up to what such a load needs.
  absl::Status ran = RunMap(stub.get(), request, *address);
  LatencySample maps;
  const CpuMeter meter(ServerPid(*address));
  const absl::Time begin = absl::Now();
  absl::Time now = begin;
  while (ran.ok() && now - begin < options.duration) {
    ran = RunMap(stub.get(), request, *address);
    maps.Add(absl::Now() - now);
    now = absl::Now();
  }
  if (!ran.ok()) return ran;
  SetLatency(maps, "map_", &report.results);
  const auto inputs = static_cast<int64_t>(maps.count()) * kInputs;
  report.results["throughput_per_second"] =
      static_cast<double>(inputs) / absl::ToDoubleSeconds(now - begin);
  meter.SetPerCall(inputs, &report.results);

  report.machine = MachineJson("");
  report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                   {"concurrency", concurrency},
                   {"inputs", kInputs},
                   {"program", kProgram},
                   {"server", *address}};
  if (!options.no_anchors) report.anchors["fresh"] = MeasureFresh(options, *address, concurrency);
  const Json fresh = options.no_anchors ? Json::object() : report.anchors["fresh"];
  report.targets = {{"throughput_per_second at least 80 % of calls one by one",
                     Number(report.results, "throughput_per_second"),
                     Times(Number(fresh, "throughput_per_second"), 0.8), Target::Better::kHigher}};
  return report;
}

}  // namespace cloister::cli::bench
