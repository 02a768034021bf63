// What churning clients do with the files of their sandboxes.

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "sandbox/base/unique_fd.h"
#include "tests/integration/churn_client.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;

// A connection of its own to a server's unix socket.
sandbox::UniqueFd ConnectTo(const std::string& address) {
  sandbox::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path(absl::StripPrefix(address, "unix:"));
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  EXPECT_EQ(result, 0) << "connect " << path;
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);  // as gRPC wants it
  return fd;
}

v1::WriteFileRequest FirstPart(const std::string& sandbox, const std::string& path) {
  v1::WriteFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  request.set_data(std::string(kPartBytes / 2, 'x'));
  return request;
}

}  // namespace

// ---- what they share ----------------------------------------------------------------------------

std::string ChurnClient::AnyBytes(int maximum) {
  std::string bytes(static_cast<size_t>(Below(maximum)), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random_());
  return bytes;
}

grpc::Status ChurnClient::Put(const std::string& sandbox, const std::string& path,
                              const std::string& data) {
  const auto context = Context();
  v1::WriteFileResponse response;
  const auto writer = server_->files().WriteFile(context.get(), &response);
  v1::WriteFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  for (size_t begin = 0; begin < data.size(); begin += kPartBytes) {
    request.set_data(data.substr(begin, kPartBytes));
    if (!writer->Write(request)) return writer->Finish();
    request.Clear();
  }
  request.clear_data();
  request.set_complete(true);
  writer->Write(request);
  writer->WritesDone();
  return writer->Finish();
}

std::string ChurnClient::Get(const std::string& sandbox, const std::string& path) {
  v1::ReadFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  const auto context = Context();
  const auto reader = server_->files().ReadFile(context.get(), request);
  std::string data;
  for (v1::ReadFileResponse response; reader->Read(&response);) data += response.data();
  (void)Check(reader->Finish(), "read a file");
  return data;
}

void ChurnClient::Remove(const std::string& sandbox, const std::string& path) {
  v1::RemoveFileRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  request.set_recursive(true);
  v1::RemoveFileResponse response;
  (void)Check(server_->files().RemoveFile(Context().get(), request, &response), "remove");
}

void ChurnClient::ExpectFiles(const std::string& sandbox, const std::string& directory,
                              const std::string& wanted) {
  v1::ListFilesRequest request;
  request.set_sandbox(sandbox);
  request.set_path(directory);
  request.set_recursive(true);
  v1::ListFilesResponse response;
  if (!Check(server_->files().ListFiles(Context().get(), request, &response), "list")) return;
  Expect(absl::StrJoin(response.files(), " ",
                       [](std::string* out, const v1::FileInfo& file) { *out += file.path(); }),
         wanted, "the files");
}

// Each has the file that its source has no more, and is without it from then on.
void ChurnClient::ExpectCopies(const Held& source, const std::vector<std::string>& copies,
                               const std::string& data) {
  ExpectFiles(source.name, "", "n");
  for (const std::string& copy : copies) {
    Expect(Get(copy, "kept") == data ? "the same" : "another", "the same", "the copy's file");
    Remove(copy, "kept");
  }
  const int64_t n = source.n;
  for (const std::string& copy : copies) Adopt(copy, n);
}

// ---- operations ---------------------------------------------------------------------------------

void ChurnClient::UseFiles() {
  Held& held = Pick();
  const std::string data = AnyBytes(300'000);
  v1::MakeDirectoryRequest make;
  make.set_sandbox(held.name);
  make.set_path("d/e");
  v1::MakeDirectoryResponse made;
  if (!Check(server_->files().MakeDirectory(Context().get(), make, &made), "make a directory")) {
    return;
  }
  if (!Check(Put(held.name, "d/e/f", data), "write a file")) return;
  ExpectFiles(held.name, "d", "d/e d/e/f");
  Expect(Get(held.name, "d/e/f") == data ? "the same" : "another", "the same", "the file");
  std::string value;
  Expect(RunCell(held.name, "len(open('d/e/f', 'rb').read())", &value), "SUCCEEDED", "a reader");
  Expect(value, absl::StrCat(data.size()), "its length");
  ExpectRefused(Put(held.name, "../n", "x"), "FIELD_INVALID", "a path that leads out");
  Remove(held.name, "d");
  ExpectFiles(held.name, "", "n");
  Step(held);
}

void ChurnClient::ForkWithFiles() {
  const Held parent = Pick();
  const std::string data = AnyBytes(1 << 20);
  if (!Check(Put(parent.name, "kept", data), "write a file")) return;
  v1::ForkSandboxRequest request;
  request.set_name(parent.name);
  request.set_count(2);
  v1::ForkSandboxResponse response;
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), request, &response);
  Remove(parent.name, "kept");
  if (!Check(status, "fork")) return;
  std::vector<std::string> forks;
  for (const v1::Sandbox& fork : response.sandboxes()) forks.push_back(fork.name());
  ExpectCopies(parent, forks, data);
}

void ChurnClient::SnapshotWithFiles() {
  const Held source = Pick();
  const std::string data = AnyBytes(1 << 20);
  if (!Check(Put(source.name, "kept", data), "write a file")) return;
  v1::CreateSnapshotRequest request;
  request.set_sandbox(source.name);
  v1::CreateSnapshotResponse response;
  const grpc::Status status =
      server_->sandboxes().CreateSnapshot(Context().get(), request, &response);
  Remove(source.name, "kept");
  if (!Check(status, "create a snapshot")) return;
  v1::CreateSandboxRequest create;
  create.set_snapshot(response.snapshot().name());
  v1::CreateSandboxResponse created;
  if (Check(server_->sandboxes().CreateSandbox(Context().get(), create, &created),
            "create from a snapshot")) {
    ExpectCopies(source, {created.sandbox().name()}, data);
  }
  v1::DeleteSnapshotRequest remove;
  remove.set_name(response.snapshot().name());
  v1::DeleteSnapshotResponse removed;
  (void)Check(server_->sandboxes().DeleteSnapshot(Context().get(), remove, &removed),
              "delete a snapshot");
}

void ChurnClient::FillWorkspace() {
  Held& held = Pick();
  ExpectRefused(Put(held.name, "large", std::string(kFileBytes + 1, 'x')), "WORKSPACE_FULL",
                "more than a file may have");
  if (!Check(Put(held.name, "one", std::string(kFileBytes - 1, 'x')), "write a file")) return;
  ExpectRefused(Put(held.name, "two", std::string(kWorkspaceBytes - kFileBytes, 'x')),
                "WORKSPACE_FULL", "more than the workspace may have");
  Remove(held.name, "one");
  ExpectFiles(held.name, "", "n");
  Step(held);
}

// In the ways there are: cancelled, late, over without having said so, and gone without a word.
void ChurnClient::UploadAndVanish() {
  Held& held = Pick();
  const int way = Below(4);
  sandbox::UniqueFd line = ConnectTo(server_->address());
  const auto stub = v1::FileService::NewStub(
      grpc::CreateInsecureChannelFromFd("localhost", ::fcntl(line.get(), F_DUPFD_CLOEXEC, 0)));
  const auto context = Context(way == 1 ? Below(20) : 60'000);
  v1::WriteFileResponse response;
  const auto writer = stub->WriteFile(context.get(), &response);
  writer->Write(FirstPart(held.name, "gone"));
  v1::WriteFileRequest next;
  next.set_data(std::string(kPartBytes / 2, 'y'));
  for (int i = Below(6); i > 0; --i) writer->Write(next);
  if (way == 0) context->TryCancel();
  if (way == 2) writer->WritesDone();
  if (way == 3) ::shutdown(line.get(), SHUT_RDWR);
  const grpc::Status status = writer->Finish();
  Expect(status.ok() ? "OK" : "an error", "an error", "the upload");
  ExpectFiles(held.name, "", "n");
  Step(held);
}

void ChurnClient::DownloadAndVanish() {
  Held& held = Pick();
  if (!Check(Put(held.name, "large", std::string(4 << 20, 'x')), "write a file")) return;
  {
    v1::ReadFileRequest request;
    request.set_sandbox(held.name);
    request.set_path("large");
    const auto context = Context();
    const auto reader = server_->files().ReadFile(context.get(), request);
    v1::ReadFileResponse response;
    for (int i = Below(4); i >= 0; --i) reader->Read(&response);
    context->TryCancel();
    (void)reader->Finish();
  }
  Remove(held.name, "large");
  Step(held);
}

void ChurnClient::DeleteWhileUploading() {
  const std::string sandbox = Pick().name;
  const auto context = Context();
  v1::WriteFileResponse response;
  const auto writer = server_->files().WriteFile(context.get(), &response);
  writer->Write(FirstPart(sandbox, "late"));
  DeleteNamed(sandbox);
  v1::WriteFileRequest last;
  last.set_complete(true);
  writer->Write(last);
  writer->WritesDone();
  ExpectRefused(writer->Finish(), "SANDBOX_NOT_FOUND", "the upload");
}

}  // namespace cloister::testing
