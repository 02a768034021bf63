#include "clients/cli/commands/file_transfer.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cloister::cli {
namespace {

constexpr size_t kPartBytes = size_t{512} << 10;

// Up to a part; shorter at the end only.
absl::Status ReadPart(int fd, std::string* part) {
  part->resize(kPartBytes);
  size_t filled = 0;
  while (filled < kPartBytes) {
    const ssize_t count = read(fd, part->data() + filled, kPartBytes - filled);
    if (count == 0) break;
    if (count > 0) filled += static_cast<size_t>(count);
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "read");
  }
  part->resize(filled);
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
  while (!request.complete()) {
    if (absl::Status read = ReadPart(fd, request.mutable_data()); !read.ok()) {
      // Without `complete` nothing is left of it.
      context.TryCancel();
      (void)writer->Finish();
      return {absl::Status(read.code(), local_name + ": " + std::string(read.message())), {}};
    }
    request.set_complete(request.data().size() < kPartBytes);
    if (!writer->Write(request)) break;  // the server has answered already
    const bool complete = request.complete();
    request.Clear();
    request.set_complete(complete);
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
  return {std::move(local), std::move(server)};
}

}  // namespace cloister::cli
