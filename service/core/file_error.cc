#include "service/core/file_error.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

constexpr size_t kMaxShownBytes = 200;
constexpr absl::Duration kRetryDelay = absl::Milliseconds(50);

// Quoted, without what a terminal would act on, and short.
std::string Shown(std::string_view path) {
  if (path.empty()) return "/workspace";
  std::string_view part = path.substr(0, kMaxShownBytes);
  while (part.size() < path.size() && !part.empty() && (path[part.size()] & 0xC0) == 0x80) {
    part.remove_suffix(1);
  }
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(absl::string_view(part.data(), part.size())),
                      part.size() < path.size() ? "…" : "", "\"");
}

absl::Status Refused(std::string_view path, const char* what) {
  return MakeError(v1::ERROR_REASON_PATH_REFUSED, absl::StrCat(Shown(path), " ", what));
}

absl::Status Full(std::string_view path, const char* limit, int64_t bytes) {
  return WithQuotaFailure(
      MakeError(v1::ERROR_REASON_WORKSPACE_FULL,
                absl::StrCat(Shown(path), " does not fit: the sandbox's ", limit, " is ", bytes,
                             " bytes; remove files, or make a sandbox with a higher limit")),
      limit, absl::StrCat("at most ", bytes, " bytes"));
}

}  // namespace

absl::Status FilesInterruptedError() {
  return WithRetryDelay(MakeError(v1::ERROR_REASON_FILES_INTERRUPTED,
                                  "the process that serves the sandbox's files ended under the "
                                  "call; the sandbox goes on. Try again"),
                        kRetryDelay);
}

absl::Status StandstillError(absl::Duration limit) {
  return WithRetryDelay(
      MakeError(v1::ERROR_REASON_FILES_INTERRUPTED,
                absl::StrCat("nothing was sent, or taken, for ", absl::FormatDuration(limit),
                             ": the stream was ended, and what it had written is gone. Try again")),
      kRetryDelay);
}

absl::Status StartFilesError(const sandbox::Limits& limits) {
  const std::string bounds = absl::StrCat("memory_bytes is ", limits.memory_bytes,
                                          ", workspace_bytes is ", limits.workspace_bytes);
  return WithQuotaFailure(
      MakeError(
          v1::ERROR_REASON_WORKSPACE_FULL,
          absl::StrCat("the environment and files do not fit into the sandbox's limits: ", bounds,
                       "; raise them, or give fewer files and write the others afterwards")),
      "memory_bytes, workspace_bytes", bounds);
}

absl::Status RefilledError(std::string_view path) {
  return Refused(path,
                 "is filled again while it is removed, or holds more than a million entries; stop "
                 "what writes there, then try again");
}

absl::Status FileError(int error_number, std::string_view path, const sandbox::Limits& limits) {
  switch (error_number) {
    case ENOENT:
      return MakeError(v1::ERROR_REASON_FILE_NOT_FOUND,
                       absl::StrCat("nothing lies at ", Shown(path)));
    case EEXIST:
      return MakeError(v1::ERROR_REASON_FILE_EXISTS,
                       absl::StrCat("something lies at ", Shown(path), " already"));
    case EFBIG:
      return Full(path, "file_bytes", limits.file_bytes);
    case ENOSPC:
    case EDQUOT:
      return Full(path, "workspace_bytes", limits.workspace_bytes);
    case ENOMEM:
      // Files lie in memory, beside what programs use of it.
      return Full(path, "memory_bytes", limits.memory_bytes);
    case ELOOP:
    case EXDEV:
      return Refused(path, "is, or leads through, a symbolic link; none is followed");
    case EISDIR:
      return Refused(path, "is a directory");
    case ENOTDIR:
      return Refused(path, "is no directory, or leads through something that is none");
    case ENOTEMPTY:
      return Refused(path, "is a directory that is not empty; set `recursive` to remove all of it");
    case ENXIO:
      return Refused(path, "is neither a file nor a directory");
    case EACCES:
    case EPERM:
      return Refused(path, "is closed by its permissions, which the program in the sandbox set");
    case ENAMETOOLONG:
      return Refused(path, "is longer than the file system takes");
    case E2BIG:
      return Refused(path, "holds more than a million entries; list a directory in it");
    // Of handles: another process serves the files by now.
    case EBADF:
      return FilesInterruptedError();
    default:
      return Refused(path, strerror(error_number));
  }
}

}  // namespace cloister::core
