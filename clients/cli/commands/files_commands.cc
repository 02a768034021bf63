#include "clients/cli/commands/files_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/file_transfer.h"
#include "clients/cli/commands/files_listing.h"
#include "clients/cli/commands/local_file.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/utf8.h"
#include "clients/cpp/service_error.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

// Complains of what a transfer did not do; its exit code.
int CodeOf(const Server& server, const Transfer& transfer, OutputFds fds) {
  if (transfer.ok()) return kExitOk;
  if (!transfer.server.ok()) return Refused(server, transfer.server, fds);
  Complain(fds.err, transfer.local.message());
  return kExitInputOutput;
}

int Fail(OutputFds fds, const std::string& name, const std::string& what) {
  Complain(fds.err, absl::StrCat(name, ": ", what));
  return kExitInputOutput;
}

// The last part, whatever slashes are behind it.
std::string LastPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return fs::path(path).filename().string();
}

std::string Below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : absl::StrCat(directory, "/", name);
}

// Where LOCAL goes: REMOTE, or below it.
std::string TargetOf(const PutOptions& options) {
  std::string target = options.remote;
  if (target.empty()) return LastPart(options.local);
  if (target.back() != '/') return target;
  while (!target.empty() && target.back() == '/') target.pop_back();
  return Below(target, LastPart(options.local));
}

int PutOne(const Server& server, const PutOptions& options, const std::string& local,
           const std::string& remote, OutputFds fds) {
  // A pipe is as good as a file.
  const int fd = local == "-" ? dup(STDIN_FILENO) : open(local.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    const int code = Fail(fds, local, std::system_category().message(errno));
    if (fd >= 0) close(fd);
    return code;
  }
  const Upload upload{.sandbox = options.sandbox,
                      .path = remote,
                      .executable = S_ISREG(status.st_mode) && (status.st_mode & S_IXUSR) != 0,
                      .must_not_exist = options.no_clobber};
  const Transfer transfer = SendFile(server.files, upload, fd, local);
  close(fd);
  return CodeOf(server, transfer, fds);
}

int PutTree(const Server& server, const PutOptions& options, const std::string& target,
            OutputFds fds) {
  int code = MakeDirectories(server, options.sandbox, {target}, fds);
  if (code != kExitOk) return code;
  std::error_code error;
  fs::recursive_directory_iterator entry(options.local, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string local = entry->path().string();
    const std::string remote = Below(target, entry->path().lexically_relative(options.local));
    int one = kExitOk;
    if (entry->is_symlink()) {
      one = Fail(fds, local, "is a symbolic link and was left out");
    } else if (entry->is_directory()) {
      one = MakeDirectories(server, options.sandbox, {remote}, fds);
    } else if (entry->is_regular_file()) {
      one = PutOne(server, options, local, remote, fds);
    } else {
      one = Fail(fds, local, "is neither a file nor a directory and was left out");
    }
    if (one != kExitOk) code = one;
    if (one == kExitUnavailable) return code;
  }
  return error ? Fail(fds, options.local, error.message()) : code;
}

int GetOne(const Server& server, const std::string& sandbox, const std::string& remote,
           const std::string& local, OutputFds fds) {
  std::optional<LocalFile> file;
  bool executable = false;
  Receiver receiver;
  receiver.begin = [&](const v1::FileInfo& info) -> absl::Status {
    if (local == "-") return absl::OkStatus();
    absl::StatusOr<LocalFile> created = LocalFile::Create(local);
    if (!created.ok()) return created.status();
    file.emplace(*std::move(created));
    executable = info.executable();
    return absl::OkStatus();
  };
  receiver.write = [&](absl::string_view bytes) {
    if (file.has_value()) return file->Write(bytes);
    return WriteAll(fds.out, bytes) ? absl::OkStatus() : absl::ErrnoToStatus(errno, "stdout");
  };
  Transfer transfer = ReceiveFile(server.files, sandbox, remote, receiver);
  if (transfer.ok() && file.has_value()) transfer.local = file->Keep(executable);
  return CodeOf(server, transfer, fds);
}

// Whether a path of the server's is one that may be made here.
bool IsHarmless(absl::string_view relative) {
  for (const absl::string_view part : absl::StrSplit(relative, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

int GetEntry(const Server& server, const GetOptions& options, const std::string& target,
             const v1::FileInfo& info, OutputFds fds) {
  const size_t prefix = options.remote.empty() ? 0 : options.remote.size() + 1;
  const std::string relative = info.path().size() > prefix ? info.path().substr(prefix) : "";
  if (!absl::StartsWith(info.path(), options.remote) || !IsHarmless(relative)) {
    return Fail(fds, ShownPath(info.path()), "is no path that may be made here");
  }
  const std::string local = absl::StrCat(target, "/", relative);
  std::error_code error;
  switch (info.kind()) {
    case v1::FileInfo::KIND_DIRECTORY:
      fs::create_directories(local, error);
      return error ? Fail(fds, local, error.message()) : kExitOk;
    case v1::FileInfo::KIND_FILE:
      return GetOne(server, options.sandbox, info.path(), local, fds);
    default:
      return Fail(fds, ShownPath(info.path()),
                  "is neither a file nor a directory and was left out");
  }
}

int GetTree(const Server& server, const GetOptions& options, const std::string& target,
            OutputFds fds) {
  std::error_code error;
  fs::create_directories(target, error);
  if (error) return Fail(fds, target, error.message());
  int code = kExitOk;
  const auto get = [&](const v1::FileInfo& info) {
    const int one = GetEntry(server, options, target, info, fds);
    if (one != kExitOk) code = one;
    return one != kExitUnavailable;
  };
  const grpc::Status status =
      ForEachFile(server, options.sandbox, options.remote, /*recursive=*/true, get);
  return status.ok() ? code : Refused(server, status, fds);
}

}  // namespace

int PutFiles(const Server& server, const PutOptions& options, OutputFds fds) {
  if (options.local == "-" &&
      (options.recursive || options.remote.empty() || options.remote.back() == '/')) {
    Complain(fds.err, "files put: what comes from standard input needs a REMOTE name, and no -r");
    return kExitUsage;
  }
  const std::string target = TargetOf(options);
  if (options.local == "-" || !fs::is_directory(options.local)) {
    return PutOne(server, options, options.local, target, fds);
  }
  if (options.recursive) return PutTree(server, options, target, fds);
  Complain(fds.err, absl::StrCat(options.local, ": is a directory; add -r"));
  return kExitUsage;
}

int GetFiles(const Server& server, const GetOptions& options, OutputFds fds) {
  GetOptions get = options;
  while (!get.remote.empty() && get.remote.back() == '/') get.remote.pop_back();
  if (get.local == "-" && get.recursive) {
    Complain(fds.err, "files get: a directory cannot go to standard output");
    return kExitUsage;
  }
  const std::string name = get.remote.empty() ? "workspace" : LastPart(get.remote);
  const std::string target = LocalTarget(get.local, name);
  return get.recursive ? GetTree(server, get, target, fds)
                       : GetOne(server, get.sandbox, get.remote, target, fds);
}

int RemoveFiles(const Server& server, const RemoveFilesOptions& options, OutputFds fds) {
  int code = kExitOk;
  for (const std::string& path : options.paths) {
    v1::RemoveFileRequest request;
    request.set_sandbox(options.sandbox);
    request.set_path(path);
    request.set_recursive(options.recursive);
    request.set_allow_missing(options.force);
    grpc::ClientContext context;
    v1::RemoveFileResponse response;
    const grpc::Status status = server.files->RemoveFile(&context, request, &response);
    if (!status.ok()) code = Refused(server, status, fds);
  }
  return code;
}

int MakeDirectories(const Server& server, const std::string& sandbox,
                    const std::vector<std::string>& paths, OutputFds fds) {
  int code = kExitOk;
  for (const std::string& path : paths) {
    v1::MakeDirectoryRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    grpc::ClientContext context;
    v1::MakeDirectoryResponse response;
    const grpc::Status status = server.files->MakeDirectory(&context, request, &response);
    if (!status.ok()) code = Refused(server, status, fds);
  }
  return code;
}

}  // namespace cloister::cli
