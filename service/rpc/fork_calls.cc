// SandboxService's calls that copy sandboxes.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/server_context.h"
#include "sandbox/base/status_macros.h"
#include "service/rpc/deadline.h"
#include "service/rpc/sandbox_requests.h"
#include "service/rpc/sandbox_service.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

// Goes on where the caller has gone: with a request_id it can ask again what became of it. Without
// one, nobody will ever know of the forks, so they are ended.
class ForkSandboxCall final : public UnaryCall {
 public:
  ForkSandboxCall(Admission admission, grpc::CallbackServerContext* context,
                  const v1::ForkSandboxRequest* request, v1::ForkSandboxResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(fork_, TakeRequest(backend(), *request_));
    return absl::OkStatus();
  }

  void Begin() override {
    can_be_asked_for_again_ = !fork_.request_id.empty();
    fork_.deadline = LoopDeadline(*backend().loop, context_->deadline());
    auto self = std::static_pointer_cast<ForkSandboxCall>(shared_from_this());
    const absl::Status started = backend().forks->Fork(
        std::move(fork_), [self](absl::StatusOr<std::vector<v1::Sandbox>> sandboxes) {
          self->OnForked(std::move(sandboxes));
        });
    if (!started.ok()) Complete(started);
  }

  void OnForked(absl::StatusOr<std::vector<v1::Sandbox>> sandboxes) {
    if (sandboxes.ok() && !can_be_asked_for_again_) {
      for (const v1::Sandbox& sandbox : *sandboxes) made_.push_back(sandbox.name());
    }
    if (completed()) return TakeBack();
    if (sandboxes.ok()) {
      for (v1::Sandbox& sandbox : *sandboxes) {
        *response_->add_sandboxes() = std::move(sandbox);
      }
    }
    Complete(sandboxes.status());
  }

  void TakeBack() override {
    for (const std::string& name : std::exchange(made_, {})) {
      (void)backend().sandboxes->Delete(name);
    }
  }

  grpc::CallbackServerContext* const context_;
  const v1::ForkSandboxRequest* const request_;
  v1::ForkSandboxResponse* const response_;
  core::ForkRequest fork_;
  bool can_be_asked_for_again_ = false;
  std::vector<std::string> made_;  // while they may be taken back
};

// As ForkSandboxCall.
class CreateSnapshotCall final : public UnaryCall {
 public:
  CreateSnapshotCall(Admission admission, grpc::CallbackServerContext* context,
                     const v1::CreateSnapshotRequest* request, v1::CreateSnapshotResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(snapshot_, TakeRequest(backend(), *request_));
    return absl::OkStatus();
  }

  void Begin() override {
    can_be_asked_for_again_ = !snapshot_.request_id.empty();
    snapshot_.deadline = LoopDeadline(*backend().loop, context_->deadline());
    auto self = std::static_pointer_cast<CreateSnapshotCall>(shared_from_this());
    const absl::Status started = backend().forks->CreateSnapshot(
        std::move(snapshot_), [self](absl::StatusOr<v1::Snapshot> snapshot) {
          if (snapshot.ok() && !self->can_be_asked_for_again_) self->made_ = snapshot->name();
          if (self->completed()) return self->TakeBack();
          if (snapshot.ok()) *self->response_->mutable_snapshot() = *std::move(snapshot);
          self->Complete(snapshot.status());
        });
    if (!started.ok()) Complete(started);
  }

  void TakeBack() override {
    if (!made_.empty()) (void)backend().forks->DeleteSnapshot(made_);
  }

  grpc::CallbackServerContext* const context_;
  const v1::CreateSnapshotRequest* const request_;
  v1::CreateSnapshotResponse* const response_;
  core::SnapshotRequest snapshot_;
  bool can_be_asked_for_again_ = false;
  std::string made_;  // where it may be taken back
};

// A call that is over when the loop has done one thing.
class SnapshotCall final : public UnaryCall {
 public:
  SnapshotCall(Admission admission,
               std::function<absl::Status(const SandboxRequestValidator&)> prepare,
               std::function<absl::Status(core::ForkManager&)> work)
      : UnaryCall(std::move(admission)), prepare_(std::move(prepare)), work_(std::move(work)) {}

 private:
  absl::Status Prepare() override { return prepare_(*backend().sandbox_validator); }
  void Begin() override { Complete(work_(*backend().forks)); }

  const std::function<absl::Status(const SandboxRequestValidator&)> prepare_;
  const std::function<absl::Status(core::ForkManager&)> work_;
};

template <typename Request>
auto CheckNameOf(const Request* request) {
  return [request](const SandboxRequestValidator&) {
    return SandboxRequestValidator::CheckSandboxName(request->name());
  };
}

}  // namespace

grpc::ServerUnaryReactor* SandboxService::ForkSandbox(grpc::CallbackServerContext* context,
                                                      const v1::ForkSandboxRequest* request,
                                                      v1::ForkSandboxResponse* response) {
  return Serve<ForkSandboxCall>(
      gate_.Admit(*context, core::CallMethod::kForkSandbox, request, response), context, request,
      response);
}

grpc::ServerUnaryReactor* SandboxService::CreateSnapshot(grpc::CallbackServerContext* context,
                                                         const v1::CreateSnapshotRequest* request,
                                                         v1::CreateSnapshotResponse* response) {
  return Serve<CreateSnapshotCall>(
      gate_.Admit(*context, core::CallMethod::kCreateSnapshot, request, response), context, request,
      response);
}

grpc::ServerUnaryReactor* SandboxService::GetSnapshot(grpc::CallbackServerContext* context,
                                                      const v1::GetSnapshotRequest* request,
                                                      v1::GetSnapshotResponse* response) {
  return Serve<SnapshotCall>(gate_.Admit(*context, core::CallMethod::kGetSnapshot, request),
                             CheckNameOf(request),
                             [request, response](core::ForkManager& forks) -> absl::Status {
                               CLOISTER_ASSIGN_OR_RETURN(*response->mutable_snapshot(),
                                                         forks.GetSnapshot(request->name()));
                               return absl::OkStatus();
                             });
}

grpc::ServerUnaryReactor* SandboxService::ListSnapshots(grpc::CallbackServerContext* context,
                                                        const v1::ListSnapshotsRequest* request,
                                                        v1::ListSnapshotsResponse* response) {
  auto size = std::make_shared<int>(0);
  return Serve<SnapshotCall>(
      gate_.Admit(*context, core::CallMethod::kListSnapshots),
      [size, request](const SandboxRequestValidator& validator) -> absl::Status {
        CLOISTER_ASSIGN_OR_RETURN(*size, validator.Check(*request));
        return absl::OkStatus();
      },
      [size, request, response](core::ForkManager& forks) -> absl::Status {
        CLOISTER_ASSIGN_OR_RETURN(core::SnapshotPage page,
                                  forks.ListSnapshots(*size, request->page_token()));
        for (v1::Snapshot& snapshot : page.snapshots) {
          *response->add_snapshots() = std::move(snapshot);
        }
        response->set_next_page_token(std::move(page.next_page_token));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* SandboxService::DeleteSnapshot(grpc::CallbackServerContext* context,
                                                         const v1::DeleteSnapshotRequest* request,
                                                         v1::DeleteSnapshotResponse* /*response*/) {
  return Serve<SnapshotCall>(
      gate_.Admit(*context, core::CallMethod::kDeleteSnapshot, request), CheckNameOf(request),
      [request](core::ForkManager& forks) { return forks.DeleteSnapshot(request->name()); });
}

}  // namespace cloister::rpc
