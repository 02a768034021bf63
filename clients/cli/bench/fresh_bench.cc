#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/closed_loop.h"
#include "clients/cli/bench/cpu_meter.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"
#include "cloister/client/service_error.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

constexpr char kProgram[] = "print(1)";
constexpr char kExpectedOutput[] = "1\n";
constexpr absl::Duration kPoolPatience = absl::Seconds(10);

struct RunCall {
  grpc::ClientContext context;
  v1::RunCodeRequest request;
  v1::RunCodeResponse response;
};

// Runs the program and counts what came back.
class RunCaller {
 public:
  RunCaller(const std::string& address, const std::string& template_name, int channels) {
    request_.set_template_(template_name);
    request_.mutable_program()->set_code(kProgram);
    for (int i = 0; i < channels; ++i) {
      stubs_.push_back(v1::ExecutionService::NewStub(client::CreateChannel(address)));
    }
  }

  Call AsCall() {
    return [this](int index, Done done) {
      auto call = std::make_shared<RunCall>();
      call->request = request_;
      stubs_[static_cast<size_t>(index) % stubs_.size()]->async()->RunCode(
          &call->context, &call->request, &call->response,
          [this, call, done = std::move(done)](const grpc::Status& status) {
            done(Count(status, call->response));
          });
    };
  }

  void SetCounts(absl::string_view prefix, Json* results) const {
    (*results)[absl::StrCat(prefix, "warm_count")] = warm_.load();
    (*results)[absl::StrCat(prefix, "cold_count")] = cold_.load();
    (*results)[absl::StrCat(prefix, "refused_count")] = refused_.load();
    (*results)[absl::StrCat(prefix, "wrong_count")] = wrong_.load();
  }

 private:
  // Only the right output of a program that succeeded is a success.
  bool Count(const grpc::Status& status, const v1::RunCodeResponse& response) {
    if (!status.ok()) {
      ++refused_;
      return false;
    }
    if (response.outcome().kind() != v1::Outcome::KIND_SUCCEEDED ||
        response.stdout() != kExpectedOutput) {
      ++wrong_;
      return false;
    }
    ++(response.start_kind() == v1::START_KIND_WARM ? warm_ : cold_);
    return true;
  }

  v1::RunCodeRequest request_;
  std::vector<std::unique_ptr<v1::ExecutionService::Stub>> stubs_;
  std::atomic<int64_t> warm_{0};
  std::atomic<int64_t> cold_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> wrong_{0};
};

// The template that will be used, as the server tells it.
absl::StatusOr<v1::Template> FindTemplate(v1::InfoService::Stub* stub, const std::string& address,
                                          const std::string& name) {
  grpc::ClientContext context;
  v1::GetInfoResponse info;
  const grpc::Status status = stub->GetInfo(&context, v1::GetInfoRequest(), &info);
  if (!status.ok()) {
    return absl::UnavailableError(client::ErrorText(client::ParseServiceError(status), address));
  }
  for (const v1::Template& candidate : info.templates()) {
    if (name.empty() || candidate.name() == name) return candidate;
  }
  return absl::NotFoundError(absl::StrCat("the server has no template \"", name, "\""));
}

std::vector<Target> FreshTargets(const Report& report) {
  const Json none = Json::object();
  const auto anchor = [&](const char* name) {
    const auto found = report.anchors.find(name);
    return found == report.anchors.end() ? none : *found;
  };
  const Json echo = anchor("grpc_echo");
  const Json bwrap = anchor("bwrap_python");
  const auto p50 = Number(report.results, "latency_p50_us");
  const auto p99 = Number(report.results, "latency_p99_us");
  const auto rate = Number(report.results, "throughput_per_second");
  const auto bare = Number(anchor("bare_fork"), "throughput_per_second");
  using enum Target::Better;
  return {
      {"latency_p50_us at most 6 times echo", p50, Times(Number(echo, "latency_p50_us"), 6),
       kLower},
      {"latency_p99_us", p99, 2000, kLower},
      {"times faster than bwrap and python (p50)", Ratio(Number(bwrap, "latency_p50_us"), p50), 30,
       kHigher},
      {"throughput_per_second at least 60 % of bare forks", rate, Times(bare, 0.6), kHigher},
      {"throughput_per_second at least 8 times bwrap and python", rate,
       Times(Number(bwrap, "throughput_per_second"), 8), kHigher},
      {"error_count", Number(report.results, "error_count"), 0, kLower},
  };
}

// How many sandboxes are ready, once the pool has as many as it wants; 0 where that takes too long.
int AwaitFullPool(v1::InfoService::Stub* stub, const std::string& name) {
  const absl::Time deadline = absl::Now() + kPoolPatience;
  while (absl::Now() < deadline) {
    const absl::StatusOr<v1::Template> found = FindTemplate(stub, "", name);
    if (!found.ok()) return 0;
    const v1::PoolState& pool = found->pool();
    if (pool.ready_count() > 0 && pool.ready_count() >= pool.target_count()) {
      return pool.ready_count();
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  return 0;
}

void MeasureServer(const BenchOptions& options, const std::string& address,
                   v1::InfoService::Stub* stub, Report* report) {
  Json& results = report->results;
  RunCaller one(address, options.template_name, 1);
  const LoadResult latency = RunBursts(
      options.duration, [&] { return AwaitFullPool(stub, options.template_name); }, one.AsCall());
  SetLatency(latency.latency, "", &results);
  one.SetCounts("latency_", &results);

  RunCaller sleepy(address, options.template_name, 1);
  const LoadResult paced = RunPaced(options.rate, options.duration, sleepy.AsCall());
  SetLatency(paced.latency, "paced_", &results);
  sleepy.SetCounts("paced_", &results);

  RunCaller many(address, options.template_name, options.channels);
  const CpuMeter meter(ServerPid(address));
  const LoadResult load =
      RunClosedLoop(options.clients, options.duration / 10, options.duration, many.AsCall());
  SetLatency(load.latency, "throughput_", &results);
  results["throughput_per_second"] = load.SucceededPerSecond();
  many.SetCounts("throughput_", &results);
  meter.SetPerCall(load.latency.count(), &results);
  results["error_count"] = latency.failed_count + paced.failed_count + load.failed_count;
}

}  // namespace

absl::StatusOr<Report> BenchFresh(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  const auto stub = v1::InfoService::NewStub(client::CreateChannel(*address));
  const absl::StatusOr<v1::Template> chosen =
      FindTemplate(stub.get(), *address, options.template_name);
  if (!chosen.ok()) return chosen.status();

  Report report;
  report.bench = "fresh";
  report.machine = MachineJson(chosen->python_version());
  report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                   {"clients", options.clients},
                   {"channels", options.channels},
                   {"paced_calls_per_second", options.rate},
                   {"template", chosen->name()},
                   {"program", kProgram},
                   {"server", *address}};
  MeasureServer(options, *address, stub.get(), &report);
  if (!options.no_anchors) {
    const ImageUnderTest image{
        chosen->image(),
        absl::StrCat(options.image_directory, "/", chosen->image(), "/rootfs"),
        chosen->python_version(),
        {chosen->warm_up_imports().begin(), chosen->warm_up_imports().end()}};
    report.anchors["grpc_echo"] = MeasureEcho(options);
    report.anchors["bare_fork"] = MeasureBareFork(image);
    report.anchors["bwrap_python"] = MeasureBwrap(image);
    report.anchors["python"] = MeasurePython();
  }
  report.targets = FreshTargets(report);
  return report;
}

}  // namespace cloister::cli::bench
