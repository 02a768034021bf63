#include "clients/cli/bench/live_density.h"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/own_server.h"
#include "cloister/client/channel.h"
#include "cloister/client/service_error.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

constexpr int kClients = 4;
constexpr char kCell[] = "x = 1";
// The server may still be on its way up.
constexpr std::chrono::seconds kPatience(60);

// Makes sandboxes and runs cells in them. Thread-safety: any thread.
class Tenants {
 public:
  explicit Tenants(std::string address)
      : address_(std::move(address)),
        channel_(client::CreateChannel(address_)),
        sandboxes_(v1::SandboxService::NewStub(channel_)),
        executions_(v1::ExecutionService::NewStub(channel_)) {}

  absl::Status MakeOne() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    v1::CreateSandboxResponse response;
    const grpc::Status status =
        sandboxes_->CreateSandbox(&context, v1::CreateSandboxRequest(), &response);
    if (!status.ok()) return Error(status);
    if (absl::Status ran = RunCell(response.sandbox().name()); !ran.ok()) return ran;
    const std::lock_guard<std::mutex> lock(mutex_);
    names_.push_back(response.sandbox().name());
    return absl::OkStatus();
  }

  // From several clients at once; the first error ends all.
  absl::Status Make(int count) {
    std::atomic<int> left = count;
    std::array<absl::Status, kClients> errors;
    std::vector<std::thread> clients;
    for (absl::Status& error : errors) {
      clients.emplace_back([&] {
        while (error.ok() && left.fetch_sub(1) > 0) error = MakeOne();
        if (!error.ok()) left = 0;
      });
    }
    for (std::thread& one : clients) one.join();
    for (const absl::Status& error : errors) {
      if (!error.ok()) return error;
    }
    return absl::OkStatus();
  }

  absl::Status RunCell(const std::string& sandbox) {
    v1::RunCodeRequest request;
    request.set_interpreter(sandbox);
    request.mutable_program()->set_code(kCell);
    grpc::ClientContext context;
    v1::RunCodeResponse response;
    const grpc::Status status = executions_->RunCode(&context, request, &response);
    if (!status.ok()) return Error(status);
    if (response.outcome().kind() == v1::Outcome::KIND_SUCCEEDED) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("a cell ended otherwise than it had to: ",
                                            response.outcome().detail()));
  }

  const std::vector<std::string>& names() const { return names_; }

 private:
  absl::Status Error(const grpc::Status& status) const {
    return absl::UnavailableError(
        absl::StrCat("after ", names_.size(), " live sandboxes: ",
                     client::ErrorText(client::ParseServiceError(status), address_)));
  }

  const std::string address_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::SandboxService::Stub> sandboxes_;
  const std::unique_ptr<v1::ExecutionService::Stub> executions_;
  std::mutex mutex_;
  std::vector<std::string> names_;
};

}  // namespace

absl::StatusOr<LiveDensity> MeasureLiveDensity(internal::v1::ServerConfig config, int count) {
  config.mutable_live_sandboxes()->set_maximum_count(count + 1);
  const absl::StatusOr<OwnServer> server = OwnServer::Start(std::move(config));
  if (!server.ok()) return server.status();
  Tenants tenants(server->address());
  // The first one starts the zygote of live sandboxes.
  if (absl::Status made = tenants.MakeOne(); !made.ok()) return made;
  const absl::StatusOr<int64_t> before = SettledAvailableMemory();
  if (!before.ok()) return before.status();
  const absl::Time begin = absl::Now();
  if (absl::Status made = tenants.Make(count); !made.ok()) return made;
  LiveDensity density;
  density.started_per_second = count / absl::ToDoubleSeconds(absl::Now() - begin);
  const absl::StatusOr<int64_t> after = SettledAvailableMemory();
  if (!after.ok()) return after.status();
  density.memory_bytes = *before - *after;
  for (const std::string& name : tenants.names()) {
    const absl::Time asked = absl::Now();
    if (absl::Status ran = tenants.RunCell(name); !ran.ok()) return ran;
    density.cells.Add(absl::Now() - asked);
  }
  return density;
}

}  // namespace cloister::cli::bench
