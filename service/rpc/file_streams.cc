// The two streaming calls of FileService: each moves one part at a time, so that neither a fast
// writer nor a slow reader makes the server hold more than that, and ends where the client does
// not go on.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "grpcpp/server_context.h"
#include "service/core/error.h"
#include "service/core/file_error.h"
#include "service/rpc/file_request_validator.h"
#include "service/rpc/file_service.h"
#include "service/rpc/idle_watch.h"
#include "service/rpc/status_mapping.h"

namespace cloister::rpc {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;

// What both have: a record, a use of the files, an eye on the client, and an end that is told once.
//
// Thread-safety: gRPC's threads call the On... functions; all else on the loop. Ownership: as
// UnaryCall.
template <typename Reactor>
class FileStreamCall : public Reactor,
                       public std::enable_shared_from_this<FileStreamCall<Reactor>> {
 protected:
  FileStreamCall(Admission admission, grpc::CallbackServerContext* context)
      : backend_(*admission.backend),
        context_(context),
        record_(std::move(admission.record)),
        client_(backend_.loop, backend_.files->options().stream_idle_timeout,
                [this] { OnIdle(); }) {}

  // gRPC thread, once, before anything else.
  void KeepAlive() { self_ = this->shared_from_this(); }

  // Later calls are ignored. A write in flight goes out first.
  void End(const absl::Status& status) {
    if (std::exchange(ended_, true)) return;
    use_.reset();
    record_.set_status(status);
    if (writing_) {
      end_ = status;
      return;
    }
    client_.Stop();
    Reactor::Finish(ToGrpcStatus(status));
  }

  // Asks the process, and goes on with `next` where it could do it and the call has not ended.
  template <typename Next>
  void Ask(FileRequest request, Next next) {
    use_->Ask(std::move(request), [self = this->shared_from_this(),
                                   next = std::move(next)](absl::StatusOr<FileReply> reply) {
      if (self->ended_) return;
      if (!reply.ok()) return self->End(reply.status());
      next(*std::move(reply));
    });
  }

  // The write in flight is over; true where the call is as well.
  bool EndWrite() {
    writing_ = false;
    client_.Came();
    if (!ended_) return false;
    client_.Stop();
    Reactor::Finish(ToGrpcStatus(end_));
    return true;
  }
  void BeginWrite() {
    writing_ = true;
    client_.Await();
  }
  IdleWatch& client() { return client_; }
  CallRecord& record() { return record_; }

  bool ended() const { return ended_; }
  const Backend& backend() const { return backend_; }
  std::shared_ptr<core::FileUse> use_;

 private:
  void OnIdle() {
    End(core::StandstillError(client_.limit()));
    // Nothing reaches a client that takes nothing, a status neither.
    if (writing_) context_->TryCancel();
  }
  void OnCancel() final {
    backend_.loop->Post([self = this->shared_from_this()] {
      self->End(absl::CancelledError("the caller has gone"));
    });
  }
  void OnDone() final {
    record_.End();
    // What it uses belongs to the loop, so the call is let go of there.
    backend_.loop->Post([self = std::move(self_)] {});
  }

  const Backend& backend_;
  grpc::CallbackServerContext* const context_;  // until the call was finished
  CallRecord record_;
  IdleWatch client_;
  bool ended_ = false;  // loop, or before the loop knows of it
  bool writing_ = false;
  absl::Status end_;  // to be told when the write is over
  std::shared_ptr<FileStreamCall> self_;
};

class WriteFileCall final : public FileStreamCall<grpc::ServerReadReactor<v1::WriteFileRequest>> {
 public:
  WriteFileCall(Admission admission, grpc::CallbackServerContext* context,
                v1::WriteFileResponse* response)
      : FileStreamCall(std::move(admission), context), response_(response) {}

  grpc::ServerReadReactor<v1::WriteFileRequest>* Start() {
    KeepAlive();
    backend().loop->Post([self = Self()] { self->AwaitMessage(); });
    return this;
  }

 private:
  void AwaitMessage() {
    client().Await();
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    backend().loop->Post([self = Self(), ok] { self->OnMessage(ok); });
  }

  void OnMessage(bool ok) {
    client().Came();
    if (ended()) return;
    if (!ok) {
      return End(core::FieldInvalidError(
          {{"complete", "was not set before the stream ended; nothing was written"}}));
    }
    const bool is_first = use_ == nullptr;
    const absl::Status checked = is_first ? CheckFirst(message_) : CheckNext(message_);
    if (!checked.ok()) return End(checked);
    if (is_first) return Open();
    WriteData();
  }

  void Open() {
    record().NoteSubject(message_);
    auto use = backend().files->OpenStream(message_.sandbox());
    if (!use.ok()) return End(use.status());
    use_ = *std::move(use);
    FileRequest request;
    internal::v1::OpenFileToWrite& open = *request.mutable_open_to_write();
    open.set_path(message_.path());
    open.set_is_executable(message_.executable());
    open.set_must_not_exist(message_.must_not_exist());
    open.set_make_parents(message_.make_parents());
    Ask(std::move(request), [self = Self()](const FileReply&) { self->WriteData(); });
  }

  void WriteData() {
    if (message_.data().empty()) return GoOn();
    FileRequest request;
    request.mutable_write_part()->mutable_data()->swap(*message_.mutable_data());
    Ask(std::move(request), [self = Self()](const FileReply&) { self->GoOn(); });
  }

  // What the message said is written.
  void GoOn() {
    if (!message_.complete()) {
      message_.Clear();
      return AwaitMessage();
    }
    FileRequest request;
    request.mutable_commit();
    Ask(std::move(request), [self = Self()](const FileReply& reply) {
      *self->response_->mutable_file() = ToFileInfo(reply.infos(0));
      self->End(absl::OkStatus());
    });
  }

  std::shared_ptr<WriteFileCall> Self() {
    return std::static_pointer_cast<WriteFileCall>(shared_from_this());
  }

  v1::WriteFileResponse* const response_;
  v1::WriteFileRequest message_;  // gRPC's between StartRead and OnReadDone
};

class ReadFileCall final : public FileStreamCall<grpc::ServerWriteReactor<v1::ReadFileResponse>> {
 public:
  ReadFileCall(Admission admission, grpc::CallbackServerContext* context,
               const v1::ReadFileRequest* request)
      : FileStreamCall(std::move(admission), context), request_(*request) {}

  grpc::ServerWriteReactor<v1::ReadFileResponse>* Start() {
    KeepAlive();
    if (absl::Status status = Check(request_); !status.ok()) {
      End(status);
      return this;
    }
    // Posted before gRPC learns of this reactor, so that it runs before any cancellation.
    backend().loop->Post([self = Self()] { self->Open(); });
    return this;
  }

 private:
  void Open() {
    auto use = backend().files->OpenStream(request_.sandbox());
    if (!use.ok()) return End(use.status());
    use_ = *std::move(use);
    offset_ = request_.offset();
    left_ = request_.length() == 0 ? INT64_MAX : request_.length();
    FileRequest request;
    request.mutable_open_to_read()->set_path(request_.path());
    Ask(std::move(request), [self = Self()](const FileReply& reply) {
      *self->response_.mutable_file() = ToFileInfo(reply.infos(0));
      self->WriteResponse();
    });
  }

  void OnWriteDone(bool ok) override {
    backend().loop->Post([self = Self(), ok] {
      if (self->EndWrite()) return;
      if (!ok) return self->End(absl::CancelledError("the connection is broken"));
      self->ReadPart();
    });
  }

  void ReadPart() {
    const int64_t length = std::min(left_, static_cast<int64_t>(kMaximumReadBytes));
    if (length == 0) return End(absl::OkStatus());
    FileRequest request;
    request.mutable_read_part()->set_offset(offset_);
    request.mutable_read_part()->set_length(length);
    Ask(std::move(request), [self = Self(), length](FileReply reply) {
      self->Write(std::move(*reply.mutable_data()), length);
    });
  }

  void Write(std::string data, int64_t asked) {
    if (data.empty()) return End(absl::OkStatus());
    const auto length = static_cast<int64_t>(data.size());
    left_ -= length;
    if (__builtin_add_overflow(offset_, length, &offset_)) left_ = 0;
    response_.Clear();
    response_.set_data(std::move(data));
    WriteResponse();
    if (length < asked || left_ == 0) End(absl::OkStatus());
  }

  void WriteResponse() {
    BeginWrite();
    StartWrite(&response_);
  }

  std::shared_ptr<ReadFileCall> Self() {
    return std::static_pointer_cast<ReadFileCall>(shared_from_this());
  }

  const v1::ReadFileRequest request_;
  int64_t offset_ = 0;
  int64_t left_ = 0;
  v1::ReadFileResponse response_;  // the write in flight
};

}  // namespace

grpc::ServerReadReactor<v1::WriteFileRequest>* FileService::WriteFile(
    grpc::CallbackServerContext* context, v1::WriteFileResponse* response) {
  return Serve<WriteFileCall>(gate_.Admit(*context, core::CallMethod::kWriteFile), context,
                              response);
}

grpc::ServerWriteReactor<v1::ReadFileResponse>* FileService::ReadFile(
    grpc::CallbackServerContext* context, const v1::ReadFileRequest* request) {
  return Serve<ReadFileCall>(gate_.Admit(*context, core::CallMethod::kReadFile, request), context,
                             request);
}

}  // namespace cloister::rpc
