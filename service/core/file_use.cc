#include "service/core/file_use.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/file_error.h"
#include "service/core/file_manager.h"

namespace cloister::core {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;

// The path a request is about; none for what names a handle.
const std::string* PathOf(const FileRequest& request) {
  switch (request.request_case()) {
    case FileRequest::kOpenToRead:
      return &request.open_to_read().path();
    case FileRequest::kOpenToWrite:
      return &request.open_to_write().path();
    case FileRequest::kStat:
      return &request.stat().path();
    case FileRequest::kList:
      return &request.list().path();
    case FileRequest::kRemove:
      return &request.remove().path();
    case FileRequest::kMakeDirectory:
      return &request.make_directory().path();
    default:
      return nullptr;
  }
}

void SetHandle(int64_t handle, FileRequest* request) {
  switch (request->request_case()) {
    case FileRequest::kOpenToRead:
      return request->mutable_open_to_read()->set_handle(handle);
    case FileRequest::kOpenToWrite:
      return request->mutable_open_to_write()->set_handle(handle);
    case FileRequest::kReadPart:
      return request->mutable_read_part()->set_handle(handle);
    case FileRequest::kWritePart:
      return request->mutable_write_part()->set_handle(handle);
    case FileRequest::kCommit:
      return request->mutable_commit()->set_handle(handle);
    default:
      return;
  }
}

}  // namespace

FileUse::FileUse(FileManager* manager, std::shared_ptr<LiveSandbox> sandbox, int64_t handle,
                 bool is_stream)
    : manager_(manager), sandbox_(std::move(sandbox)), handle_(handle), is_stream_(is_stream) {}

FileUse::~FileUse() {
  FileGate& gate = sandbox_->files();
  const bool was_unsent = gate.Leave(this);
  const bool is_open = is_open_ && !(is_opening_ && was_unsent);
  if (is_open && gate.is_open() && closed_.ok()) {
    FileRequest request;
    request.mutable_close()->set_handle(handle_);
    gate.Tell(std::move(request));
  }
  manager_->OnUseEnded(sandbox_->name(), is_stream_);
}

void FileUse::Enter(const absl::Status& started) {
  if (!started.ok()) {
    closed_ = started;
    if (done_ != nullptr) Finish(started);
    return;
  }
  has_entered_ = true;
  sandbox_->files().Enter(this);
  if (done_ != nullptr) Send();
}

void FileUse::Ask(FileRequest request, Callback done) {
  request_ = std::move(request);
  done_ = std::move(done);
  SetHandle(handle_, &request_);
  if (const std::string* path = PathOf(request_)) path_ = *path;
  if (!closed_.ok()) {
    return manager_->Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Finish(self->closed_);
    });
  }
  if (has_entered_) Send();
}

void FileUse::Send() {
  is_opening_ = request_.has_open_to_read() || request_.has_open_to_write();
  is_open_ = is_open_ || is_opening_;
  FileRequest request;
  if (request_.has_remove()) {
    request = request_;
  } else {
    request.Swap(&request_);
  }
  const bool is_commit = request.has_commit();
  sandbox_->files().Ask(this, std::move(request),
                        [weak = weak_from_this(), is_commit](absl::StatusOr<FileReply> reply) {
                          const auto self = weak.lock();
                          // After the gate has closed the answer was given.
                          if (self == nullptr || !self->closed_.ok()) return;
                          if (is_commit) self->is_open_ = false;
                          if (is_commit && absl::IsUnavailable(reply.status())) {
                            self->RemovePassingName();
                          }
                          self->OnReply(std::move(reply));
                        });
}

void FileUse::OnReply(absl::StatusOr<FileReply> reply) {
  if (absl::IsUnavailable(reply.status())) {
    is_open_ = false;
    return Finish(FilesInterruptedError());
  }
  if (!reply.ok()) {
    manager_->OnFailed(sandbox_->name(), reply.status());
    return Finish(MakeError(
        v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
        absl::StrCat("the sandbox's files could not be served; the server's log says why, for ",
                     sandbox_->name())));
  }
  if (reply->error_number() != 0) {
    return Finish(ErrorOf(reply->error_number()));
  }
  if (reply->is_partial() && request_.has_remove()) {
    if (++removal_steps_ >= kMaxRemovalSteps) return Finish(ErrorOf(ENOTEMPTY));
    // The last step may have ended with the last entry.
    request_.mutable_remove()->set_may_be_missing(true);
    return Send();
  }
  Finish(*std::move(reply));
}

absl::Status FileUse::ErrorOf(int error_number) const {
  const bool is_refilled = error_number == ENOTEMPTY && request_.remove().is_recursive();
  return is_refilled ? RefilledError(path_)
                     : FileError(error_number, path_, sandbox_->spec().limits);
}

void FileUse::Finish(absl::StatusOr<FileReply> result) {
  const auto self = shared_from_this();  // whoever is told may let go of this
  if (const Callback done = std::exchange(done_, nullptr)) done(std::move(result));
}

void FileUse::RemovePassingName() {
  if (!sandbox_->files().is_open()) return;
  const size_t slash = path_.rfind('/');
  FileRequest request;
  request.mutable_remove()->set_path(absl::StrCat(
      slash == std::string::npos ? "" : path_.substr(0, slash + 1), ".cloister-", handle_));
  request.mutable_remove()->set_may_be_missing(true);
  sandbox_->files().Tell(std::move(request));
}

void FileUse::OnGateClosed(const absl::Status& why) {
  closed_ = why;
  is_open_ = false;
  if (done_ != nullptr) Finish(why);
}

}  // namespace cloister::core
