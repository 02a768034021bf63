#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/latency_sample.h"
#include "clients/cli/bench/machine.h"
#include "clients/cpp/channel.h"
#include "clients/cpp/service_error.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

// 100,000 objects of a thousand bytes: memory as programs have it, in small pieces.
constexpr char kHeap[] = "heap = [bytearray(1000) for _ in range(100_000)]";
constexpr int kSingleForks = 50;
constexpr int kForksAtOnce = 100;

// One parent with a heap, and the forks of it; all end with the object.
class Family {
 public:
  explicit Family(const std::string& address)
      : address_(address),
        sandboxes_(v1::SandboxService::NewStub(client::CreateChannel(address))),
        executions_(v1::ExecutionService::NewStub(client::CreateChannel(address))) {}
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    for (const std::string& name : forks_) Delete(name);
    if (!parent_.empty()) Delete(parent_);
  }

  absl::Status MakeParent(const std::string& template_name) {
    v1::CreateSandboxRequest request;
    request.set_template_(template_name);
    grpc::ClientContext context;
    v1::CreateSandboxResponse response;
    const grpc::Status status = sandboxes_->CreateSandbox(&context, request, &response);
    if (!status.ok()) return Error(status);
    parent_ = response.sandbox().name();
    return Run(parent_, kHeap);
  }

  // Copies the parent, and ends the copies when the time has been taken.
  absl::StatusOr<absl::Duration> Fork(int count) {
    v1::ForkSandboxRequest request;
    request.set_name(parent_);
    request.set_count(count);
    grpc::ClientContext context;
    v1::ForkSandboxResponse response;
    const absl::Time begin = absl::Now();
    const grpc::Status status = sandboxes_->ForkSandbox(&context, request, &response);
    const absl::Duration took = absl::Now() - begin;
    if (!status.ok()) return Error(status);
    for (const v1::Sandbox& fork : response.sandboxes()) forks_.push_back(fork.name());
    const absl::Status ran = Run(forks_.back(), "assert len(heap) == 100_000");
    for (const std::string& name : forks_) Delete(name);
    forks_.clear();
    if (!ran.ok()) return ran;
    return took;
  }

 private:
  absl::Status Run(const std::string& sandbox, const char* code) {
    v1::RunCodeRequest request;
    request.set_interpreter(sandbox);
    request.mutable_program()->set_code(code);
    grpc::ClientContext context;
    v1::RunCodeResponse response;
    const grpc::Status status = executions_->RunCode(&context, request, &response);
    if (!status.ok()) return Error(status);
    return response.outcome().kind() == v1::Outcome::KIND_SUCCEEDED
               ? absl::OkStatus()
               : absl::InternalError(response.outcome().detail());
  }

  void Delete(const std::string& name) {
    v1::DeleteSandboxRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteSandboxResponse response;
    (void)sandboxes_->DeleteSandbox(&context, request, &response);
  }

  absl::Status Error(const grpc::Status& status) const {
    return absl::UnavailableError(client::ErrorText(client::ParseServiceError(status), address_));
  }

  const std::string address_;
  const std::unique_ptr<v1::SandboxService::Stub> sandboxes_;
  const std::unique_ptr<v1::ExecutionService::Stub> executions_;
  std::string parent_;
  std::vector<std::string> forks_;
};

}  // namespace

absl::StatusOr<Report> BenchFork(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Family family(*address);
  if (absl::Status made = family.MakeParent(options.template_name); !made.ok()) return made;
  LatencySample single;
  for (int i = 0; i < kSingleForks; ++i) {
    const absl::StatusOr<absl::Duration> took = family.Fork(1);
    if (!took.ok()) return took.status();
    single.Add(*took);
  }
  const absl::StatusOr<absl::Duration> many = family.Fork(kForksAtOnce);
  if (!many.ok()) return many.status();

  Report report;
  report.bench = "fork";
  report.machine = MachineJson("");
  report.config = {{"heap_bytes", 100'000'000},
                   {"single_forks", kSingleForks},
                   {"forks_at_once", kForksAtOnce},
                   {"server", *address}};
  SetLatency(single, "", &report.results);
  report.results["hundred_forks_seconds"] = absl::ToDoubleSeconds(*many);
  using enum Target::Better;
  report.targets = {
      {"latency_p50_us of a fork of 100 MB", Number(report.results, "latency_p50_us"), 10'000,
       kLower},
      {"hundred_forks_seconds", Number(report.results, "hundred_forks_seconds"), 0.5, kLower},
  };
  return report;
}

}  // namespace cloister::cli::bench
