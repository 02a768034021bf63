#include "clients/cli/commands/files_listing.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/files_commands.h"
#include "clients/cli/commands/remote_path.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/utf8.h"
#include "cloister/client/service_error.h"

namespace cloister::cli {
namespace {

char KindLetter(const v1::FileInfo& info) {
  switch (info.kind()) {
    case v1::FileInfo::KIND_DIRECTORY:
      return 'd';
    case v1::FileInfo::KIND_SYMBOLIC_LINK:
      return 'l';
    case v1::FileInfo::KIND_FILE:
      return info.executable() ? 'x' : '-';
    default:
      return '?';
  }
}

std::string Line(const v1::FileInfo& info) {
  return absl::StrFormat("%c %12d  %s  %s\n", KindLetter(info), info.size_bytes(),
                         TimeText(info.modify_time()), ShownPath(info.path()));
}

}  // namespace

grpc::Status ForEachFile(const Server& server, const std::string& sandbox, const std::string& path,
                         bool recursive, const std::function<bool(const v1::FileInfo&)>& visit) {
  v1::ListFilesRequest request;
  request.set_sandbox(sandbox);
  request.set_path(path);
  request.set_recursive(recursive);
  request.set_page_size(1000);
  do {
    grpc::ClientContext context;
    v1::ListFilesResponse page;
    grpc::Status status = server.files->ListFiles(&context, request, &page);
    if (!status.ok()) return status;
    for (const v1::FileInfo& info : page.files()) {
      if (!visit(info)) return grpc::Status::OK;
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return grpc::Status::OK;
}

int ListFiles(const Server& server, const ListFilesOptions& options, OutputFds fds) {
  const absl::StatusOr<std::string> path = RemotePath(options.path);
  if (!path.ok()) {
    Complain(fds.err, absl::StrCat("files ls: ", path.status().message()));
    return kExitUsage;
  }
  bool written = true;
  v1::ListFilesResponse all;
  const auto show = [&](const v1::FileInfo& info) {
    if (options.json) {
      *all.add_files() = info;
    } else {
      written = WriteAll(fds.out, Line(info));
    }
    return written;
  };
  grpc::Status status = ForEachFile(server, options.sandbox, *path, options.recursive, show);
  if (client::ParseServiceError(status).reason == "PATH_REFUSED") {
    // As ls does of a file.
    v1::StatFileRequest request;
    request.set_sandbox(options.sandbox);
    request.set_path(*path);
    grpc::ClientContext context;
    v1::StatFileResponse response;
    const bool found = server.files->StatFile(&context, request, &response).ok();
    if (found && response.file().kind() == v1::FileInfo::KIND_FILE) {
      (void)show(response.file());
      status = grpc::Status::OK;
    }
  }
  if (!status.ok()) return Refused(server, status, fds);
  if (options.json) return Print(JsonText(all), fds);
  return written ? kExitOk : OutputFailed(fds);
}

}  // namespace cloister::cli
