#include "clients/cli/commands/files_commands.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
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
#include "clients/cli/commands/remote_path.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/utf8.h"
#include "cloister/client/service_error.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

// What the server shows in the place of bytes that are not UTF-8. Such a file cannot be asked for.
constexpr char kReplacementCharacter[] = "\ufffd";

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

int Misused(OutputFds fds, const char* command, const absl::Status& status) {
  Complain(fds.err, absl::StrCat(command, ": ", status.message()));
  return kExitUsage;
}

// The last part, whatever slashes are behind it.
std::string LastPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return fs::path(path).filename().string();
}

// What a local file is called, also where it is named "." or "..".
std::string OwnName(const std::string& local) {
  const std::string name = LastPart(local);
  if (name != "." && name != "..") return name;
  std::error_code error;
  return fs::canonical(local, error).filename().string();
}

std::string Below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : absl::StrCat(directory, "/", name);
}

// Where LOCAL goes: REMOTE, or below it. What "." holds goes where it is told to.
absl::StatusOr<std::string> TargetOf(const PutOptions& options) {
  absl::StatusOr<std::string> target = RemotePath(options.remote);
  if (!target.ok()) return target.status();
  const bool is_below = target->empty() || options.remote.back() == '/';
  const bool is_contents = !options.remote.empty() && LastPart(options.local) == ".";
  if (!is_below || is_contents) return target;
  const std::string name = OwnName(options.local);
  if (name.empty() || name == "/" || !IsUtf8(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(ShownPath(options.local), ": has no name to go by; give REMOTE"));
  }
  return Below(*target, name);
}

// Whether it is a FIFO with a name of its own: opening one waits for somebody to write to it.
bool IsNamedFifo(const std::string& local) {
  struct stat status;
  struct statfs system;
  return stat(local.c_str(), &status) == 0 && S_ISFIFO(status.st_mode) &&
         statfs(local.c_str(), &system) == 0 && system.f_type != PIPEFS_MAGIC;
}

int PutOne(const Server& server, const PutOptions& options, const std::string& local,
           const std::string& remote, OutputFds fds) {
  // A pipe is as good as a file.
  if (IsNamedFifo(local)) {
    Complain(fds.err, absl::StrCat(local, ": is a FIFO; waiting for what is written to it"));
  }
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
  int code = target.empty() ? kExitOk : MakeDirectories(server, options.sandbox, {target}, fds);
  if (code != kExitOk) return code;
  std::error_code error;
  fs::recursive_directory_iterator entry(options.local, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string local = entry->path().string();
    const std::string remote = Below(target, entry->path().lexically_relative(options.local));
    int one = kExitOk;
    if (!IsUtf8(remote)) {
      entry.disable_recursion_pending();
      one = Fail(fds, ShownPath(local), "has a name that is not UTF-8 and was left out");
    } else if (entry->is_symlink()) {
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

int MakeLocalDirectories(const std::string& path, OutputFds fds) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? Fail(fds, path, error.message()) : kExitOk;
}

int GetEntry(const Server& server, const GetOptions& options, const std::string& target,
             const v1::FileInfo& info, OutputFds fds) {
  const size_t prefix = options.remote.empty() ? 0 : options.remote.size() + 1;
  const std::string relative = info.path().size() > prefix ? info.path().substr(prefix) : "";
  if (!absl::StartsWith(info.path(), options.remote) || !IsHarmless(relative)) {
    return Fail(fds, ShownPath(info.path()), "is no path that may be made here");
  }
  if (absl::StrContains(info.path(), kReplacementCharacter)) {
    return Fail(fds, ShownPath(info.path()), "has a name that is not UTF-8 and was left out");
  }
  const std::string local = absl::StrCat(target, "/", relative);
  switch (info.kind()) {
    case v1::FileInfo::KIND_DIRECTORY:
      return MakeLocalDirectories(local, fds);
    case v1::FileInfo::KIND_FILE:
      return GetOne(server, options.sandbox, info.path(), local, fds);
    case v1::FileInfo::KIND_SYMBOLIC_LINK:
      return Fail(fds, ShownPath(info.path()), "is a symbolic link and was left out");
    default:
      return Fail(fds, ShownPath(info.path()),
                  "is neither a file nor a directory and was left out");
  }
}

int GetTree(const Server& server, const GetOptions& options, const std::string& target,
            OutputFds fds) {
  int code = kExitOk;
  bool is_made = false;
  const auto get = [&](const v1::FileInfo& info) {
    // Not before it is known that there is something to get.
    if (!std::exchange(is_made, true)) code = MakeLocalDirectories(target, fds);
    if (code == kExitInputOutput && !fs::is_directory(target)) return false;
    const int one = GetEntry(server, options, target, info, fds);
    if (one != kExitOk) code = one;
    return one != kExitUnavailable;
  };
  const grpc::Status status =
      ForEachFile(server, options.sandbox, options.remote, /*recursive=*/true, get);
  if (!status.ok()) return Refused(server, status, fds);
  return is_made ? code : MakeLocalDirectories(target, fds);
}

}  // namespace

int PutFiles(const Server& server, const PutOptions& options, OutputFds fds) {
  if (options.local == "-" &&
      (options.recursive || options.remote.empty() || options.remote.back() == '/')) {
    Complain(fds.err, "files put: what comes from standard input needs a REMOTE name, and no -r");
    return kExitUsage;
  }
  absl::StatusOr<std::string> target = TargetOf(options);
  if (options.local == "-" && target.ok() && *target == "-") {
    target = absl::InvalidArgumentError("what comes from standard input needs a REMOTE name");
  }
  if (!target.ok()) return Misused(fds, "files put", target.status());
  if (options.local == "-" || !fs::is_directory(options.local)) {
    return PutOne(server, options, options.local, *target, fds);
  }
  if (options.recursive) return PutTree(server, options, *target, fds);
  Complain(fds.err, absl::StrCat(options.local, ": is a directory; add -r"));
  return kExitUsage;
}

int GetFiles(const Server& server, const GetOptions& options, OutputFds fds) {
  GetOptions get = options;
  absl::StatusOr<std::string> remote = RemotePath(get.remote);
  if (!remote.ok()) return Misused(fds, "files get", remote.status());
  get.remote = *std::move(remote);
  if (get.remote.empty() && !get.recursive) {
    Complain(fds.err, "files get: all of /workspace is a directory; add -r");
    return kExitUsage;
  }
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
  std::vector<std::string> paths = options.paths;
  absl::Status normal = NormalizeRemotePaths(&paths);
  if (!normal.ok()) return Misused(fds, "files rm", normal);
  for (const std::string& path : paths) {
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
                    std::vector<std::string> paths, OutputFds fds) {
  int code = kExitOk;
  absl::Status normal = NormalizeRemotePaths(&paths);
  if (!normal.ok()) return Misused(fds, "files mkdir", normal);
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
