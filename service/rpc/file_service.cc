#include "service/rpc/file_service.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/rpc/file_request_validator.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;

// A call that is one request to the process of a sandbox's files.
class FileCall final : public UnaryCall {
 public:
  // `prepare` checks and translates the request, `answer` fills in the response. `sandbox` is the
  // request's own.
  FileCall(Admission admission, const std::string& sandbox,
           std::function<absl::StatusOr<FileRequest>()> prepare,
           std::function<void(const FileReply&)> answer)
      : UnaryCall(std::move(admission)),
        sandbox_(sandbox),
        prepare_(std::move(prepare)),
        answer_(std::move(answer)) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(file_request_, prepare_());
    return absl::OkStatus();
  }

  void Begin() override {
    auto self = std::static_pointer_cast<FileCall>(shared_from_this());
    auto use = backend().files->Call(sandbox_, std::move(file_request_),
                                     [self](const absl::StatusOr<FileReply>& reply) {
                                       if (self->completed()) return;
                                       if (reply.ok()) self->answer_(*reply);
                                       self->use_.reset();
                                       self->Complete(reply.status());
                                     });
    if (!use.ok()) return Complete(use.status());
    use_ = *std::move(use);
  }

  void Abandon() override { use_.reset(); }

  const std::string& sandbox_;
  const std::function<absl::StatusOr<FileRequest>()> prepare_;
  const std::function<void(const FileReply&)> answer_;
  FileRequest file_request_;
  std::shared_ptr<core::FileUse> use_;  // loop
};

}  // namespace

grpc::ServerUnaryReactor* FileService::StatFile(grpc::CallbackServerContext* context,
                                                const v1::StatFileRequest* request,
                                                v1::StatFileResponse* response) {
  const auto prepare = [request]() -> absl::StatusOr<FileRequest> {
    CLOISTER_RETURN_IF_ERROR(Check(*request));
    FileRequest file_request;
    file_request.mutable_stat()->set_path(request->path());
    return file_request;
  };
  const auto answer = [response](const FileReply& reply) {
    *response->mutable_file() = ToFileInfo(reply.infos(0));
  };
  return Serve<FileCall>(gate_.Admit(*context, core::CallMethod::kStatFile, request),
                         request->sandbox(), prepare, answer);
}

grpc::ServerUnaryReactor* FileService::ListFiles(grpc::CallbackServerContext* context,
                                                 const v1::ListFilesRequest* request,
                                                 v1::ListFilesResponse* response) {
  const auto prepare = [request]() -> absl::StatusOr<FileRequest> {
    FileRequest file_request;
    CLOISTER_ASSIGN_OR_RETURN(*file_request.mutable_list(), Check(*request));
    return file_request;
  };
  const auto answer = [response](const FileReply& reply) {
    for (const auto& info : reply.infos()) *response->add_files() = ToFileInfo(info);
    if (reply.is_partial()) response->set_next_page_token(PageTokenFor(reply.continue_after()));
  };
  return Serve<FileCall>(gate_.Admit(*context, core::CallMethod::kListFiles, request),
                         request->sandbox(), prepare, answer);
}

grpc::ServerUnaryReactor* FileService::RemoveFile(grpc::CallbackServerContext* context,
                                                  const v1::RemoveFileRequest* request,
                                                  v1::RemoveFileResponse* /*response*/) {
  const auto prepare = [request]() -> absl::StatusOr<FileRequest> {
    CLOISTER_RETURN_IF_ERROR(Check(*request));
    FileRequest file_request;
    file_request.mutable_remove()->set_path(request->path());
    file_request.mutable_remove()->set_is_recursive(request->recursive());
    file_request.mutable_remove()->set_may_be_missing(request->allow_missing());
    return file_request;
  };
  return Serve<FileCall>(gate_.Admit(*context, core::CallMethod::kRemoveFile, request),
                         request->sandbox(), prepare, [](const FileReply&) {});
}

grpc::ServerUnaryReactor* FileService::MakeDirectory(grpc::CallbackServerContext* context,
                                                     const v1::MakeDirectoryRequest* request,
                                                     v1::MakeDirectoryResponse* response) {
  const auto prepare = [request]() -> absl::StatusOr<FileRequest> {
    CLOISTER_RETURN_IF_ERROR(Check(*request));
    FileRequest file_request;
    file_request.mutable_make_directory()->set_path(request->path());
    file_request.mutable_make_directory()->set_make_parents(true);
    return file_request;
  };
  const auto answer = [response](const FileReply& reply) {
    *response->mutable_directory() = ToFileInfo(reply.infos(0));
  };
  return Serve<FileCall>(gate_.Admit(*context, core::CallMethod::kMakeDirectory, request),
                         request->sandbox(), prepare, answer);
}

}  // namespace cloister::rpc
