#include "service/rpc/sandbox_service.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "grpcpp/server_context.h"
#include "sandbox/base/status_macros.h"
#include "service/rpc/deadline.h"
#include "service/rpc/sandbox_requests.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class CreateSandboxCall final : public UnaryCall {
 public:
  CreateSandboxCall(Admission admission, grpc::CallbackServerContext* context,
                    const v1::CreateSandboxRequest* request, v1::CreateSandboxResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(const_cast<v1::CreateSandboxRequest*>(request)),  // as in RunCodeCall
        response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(create_request_, TakeRequest(backend(), request_));
    return absl::OkStatus();
  }

  void Begin() override {
    can_be_asked_for_again_ = !create_request_.request_id.empty();
    create_request_.deadline = LoopDeadline(*backend().loop, context_->deadline());
    auto self = std::static_pointer_cast<CreateSandboxCall>(shared_from_this());
    auto name = backend().sandboxes->Create(
        std::move(create_request_), [self](absl::StatusOr<v1::Sandbox> sandbox) {
          if (self->completed()) return;
          if (sandbox.ok()) *self->response_->mutable_sandbox() = *std::move(sandbox);
          self->Complete(sandbox.status());
        });
    if (!name.ok()) return Complete(name.status());
    name_ = *std::move(name);
  }

  void Abandon() override { backend().sandboxes->Abandon(name_); }

  void TakeBack() override {
    if (!can_be_asked_for_again_) (void)backend().sandboxes->Delete(name_);
  }

  grpc::CallbackServerContext* const context_;
  v1::CreateSandboxRequest* const request_;
  v1::CreateSandboxResponse* const response_;
  core::CreateSandboxRequest create_request_;
  bool can_be_asked_for_again_ = false;
  std::string name_;
};

class UpdateSandboxCall final : public UnaryCall {
 public:
  UpdateSandboxCall(Admission admission, const v1::UpdateSandboxRequest* request,
                    v1::UpdateSandboxResponse* response)
      : UnaryCall(std::move(admission)), request_(request), response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(lifetime_, backend().sandbox_validator->Check(*request_));
    return absl::OkStatus();
  }

  void Begin() override {
    auto sandbox =
        backend().sandboxes->Update(request_->name(), lifetime_.ttl, lifetime_.idle_timeout);
    if (sandbox.ok()) *response_->mutable_sandbox() = *std::move(sandbox);
    Complete(sandbox.status());
  }

  const v1::UpdateSandboxRequest* const request_;
  v1::UpdateSandboxResponse* const response_;
  Lifetime lifetime_;
};

class ListSandboxesCall final : public UnaryCall {
 public:
  ListSandboxesCall(Admission admission, const v1::ListSandboxesRequest* request,
                    v1::ListSandboxesResponse* response)
      : UnaryCall(std::move(admission)), request_(request), response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(page_size_, backend().sandbox_validator->Check(*request_));
    return absl::OkStatus();
  }

  void Begin() override {
    auto page = backend().sandboxes->List(page_size_, request_->page_token());
    if (!page.ok()) return Complete(page.status());
    for (v1::Sandbox& sandbox : page->sandboxes) {
      *response_->add_sandboxes() = std::move(sandbox);
    }
    response_->set_next_page_token(std::move(page->next_page_token));
    Complete(absl::OkStatus());
  }

  const v1::ListSandboxesRequest* const request_;
  v1::ListSandboxesResponse* const response_;
  int page_size_ = 0;
};

class RestartSandboxCall final : public UnaryCall {
 public:
  RestartSandboxCall(Admission admission, grpc::CallbackServerContext* context,
                     const v1::RestartSandboxRequest* request, v1::RestartSandboxResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override {
    return SandboxRequestValidator::CheckSandboxName(request_->name());
  }

  void Begin() override {
    // The caller may go before the end; the restart goes on.
    auto self = std::static_pointer_cast<RestartSandboxCall>(shared_from_this());
    absl::Status started = backend().sandboxes->Restart(
        request_->name(), LoopDeadline(*backend().loop, context_->deadline()),
        [self](absl::StatusOr<v1::Sandbox> sandbox) {
          if (self->completed()) return;
          if (sandbox.ok()) *self->response_->mutable_sandbox() = *std::move(sandbox);
          self->Complete(sandbox.status());
        });
    if (!started.ok()) Complete(started);
  }

  grpc::CallbackServerContext* const context_;
  const v1::RestartSandboxRequest* const request_;
  v1::RestartSandboxResponse* const response_;
};

// A call that holds a name, and is over when the loop has done one thing.
class NamedCall final : public UnaryCall {
 public:
  NamedCall(Admission admission, const std::string& name,
            std::function<absl::Status(core::SandboxManager&)> work)
      : UnaryCall(std::move(admission)), name_(name), work_(std::move(work)) {}

 private:
  absl::Status Prepare() override { return SandboxRequestValidator::CheckSandboxName(name_); }
  void Begin() override { Complete(work_(*backend().sandboxes)); }

  const std::string& name_;  // of the request
  const std::function<absl::Status(core::SandboxManager&)> work_;
};

}  // namespace

grpc::ServerUnaryReactor* SandboxService::CreateSandbox(grpc::CallbackServerContext* context,
                                                        const v1::CreateSandboxRequest* request,
                                                        v1::CreateSandboxResponse* response) {
  return Serve<CreateSandboxCall>(
      gate_.Admit(*context, core::CallMethod::kCreateSandbox, request, response), context, request,
      response);
}

grpc::ServerUnaryReactor* SandboxService::GetSandbox(grpc::CallbackServerContext* context,
                                                     const v1::GetSandboxRequest* request,
                                                     v1::GetSandboxResponse* response) {
  const auto work = [request, response](core::SandboxManager& sandboxes) -> absl::Status {
    CLOISTER_ASSIGN_OR_RETURN(*response->mutable_sandbox(), sandboxes.Get(request->name()));
    return absl::OkStatus();
  };
  return Serve<NamedCall>(gate_.Admit(*context, core::CallMethod::kGetSandbox, request),
                          request->name(), work);
}

grpc::ServerUnaryReactor* SandboxService::ListSandboxes(grpc::CallbackServerContext* context,
                                                        const v1::ListSandboxesRequest* request,
                                                        v1::ListSandboxesResponse* response) {
  return Serve<ListSandboxesCall>(gate_.Admit(*context, core::CallMethod::kListSandboxes), request,
                                  response);
}

grpc::ServerUnaryReactor* SandboxService::UpdateSandbox(grpc::CallbackServerContext* context,
                                                        const v1::UpdateSandboxRequest* request,
                                                        v1::UpdateSandboxResponse* response) {
  return Serve<UpdateSandboxCall>(gate_.Admit(*context, core::CallMethod::kUpdateSandbox, request),
                                  request, response);
}

grpc::ServerUnaryReactor* SandboxService::DeleteSandbox(grpc::CallbackServerContext* context,
                                                        const v1::DeleteSandboxRequest* request,
                                                        v1::DeleteSandboxResponse* /*response*/) {
  const auto work = [request](core::SandboxManager& sandboxes) {
    return sandboxes.Delete(request->name());
  };
  return Serve<NamedCall>(gate_.Admit(*context, core::CallMethod::kDeleteSandbox, request),
                          request->name(), work);
}

grpc::ServerUnaryReactor* SandboxService::RestartSandbox(grpc::CallbackServerContext* context,
                                                         const v1::RestartSandboxRequest* request,
                                                         v1::RestartSandboxResponse* response) {
  return Serve<RestartSandboxCall>(
      gate_.Admit(*context, core::CallMethod::kRestartSandbox, request), context, request,
      response);
}

}  // namespace cloister::rpc
