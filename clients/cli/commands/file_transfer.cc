#include "clients/cli/commands/file_transfer.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cloister::cli {
namespace {

constexpr size_t kPartBytes = size_t{512} << 10;

// Up to a part: what is there, so that a pipe that is written to slowly does not keep the server
// waiting for the rest.
absl::Status ReadPart(int fd, std::string* part, bool* is_end) {
  part->resize(kPartBytes);
  ssize_t count = 0;
  do {
    count = read(fd, part->data(), kPartBytes);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return absl::ErrnoToStatus(errno, "read");
  part->resize(static_cast<size_t>(count));
  *is_end = count == 0;
  return absl::OkStatus();
}

}  // namespace

Transfer SendFile(v1::FileService::StubInterface* files, const Upload& upload, int fd,
                  const std::string& local_name) {
  grpc::ClientContext context;
  v1::WriteFileResponse response;
  const auto writer = files->WriteFile(&context, &response);
  v1::WriteFileRequest request;
  request.set_sandbox(upload.sandbox);
  request.set_path(upload.path);
  request.set_executable(upload.executable);
  request.set_must_not_exist(upload.must_not_exist);
  request.set_make_parents(true);
  for (bool is_end = false; !is_end;) {
    if (absl::Status read = ReadPart(fd, request.mutable_data(), &is_end); !read.ok()) {
      // Without `complete` nothing is left of it.
      context.TryCancel();
      (void)writer->Finish();
      return {absl::Status(read.code(), local_name + ": " + std::string(read.message())), {}};
    }
    request.set_complete(is_end);
    if (!writer->Write(request)) break;  // the server has answered already
    request.Clear();
  }
  writer->WritesDone();
  return {absl::OkStatus(), writer->Finish()};
}

Transfer ReceiveFile(v1::FileService::StubInterface* files, const std::string& sandbox,
                     const std::string& path, const Receiver& receiver) {
  v1::ReadFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  grpc::ClientContext context;
  const auto reader = files->ReadFile(&context, request);
  v1::ReadFileResponse response;
  absl::Status local;
  while (local.ok() && reader->Read(&response)) {
    local = response.has_file() ? receiver.begin(response.file()) : receiver.write(response.data());
  }
  if (!local.ok()) context.TryCancel();
  grpc::Status server = reader->Finish();
  if (!local.ok()) server = grpc::Status::OK;
  // Not by us, and without a reason: none reaches who reads nothing.
  if (server.error_code() == grpc::StatusCode::CANCELLED) {
    server = grpc::Status(grpc::StatusCode::UNAVAILABLE,
                          "the server ended the download: nothing was taken of it for too long");
  }
  return {std::move(local), std::move(server)};
}

}  // namespace cloister::cli
