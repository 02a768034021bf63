// The part of SandboxCopier that has to do with files.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/copy_tree.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/zygote/copier.h"

namespace cloister::sandbox {
namespace {

constexpr const char* kDirectories[] = {"/workspace", "/tmp"};
constexpr size_t kMaxReportBytes = 500;

// Whoever must die for the copy's memory limit, it is the process that fills it: the copy itself, which
// has begun nothing yet, could not say why it ended.
void DieFirst() {
  constexpr std::string_view kMost = "1000";
  const UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (file) (void)!write(file.get(), kMost.data(), kMost.size());
}

}  // namespace

SandboxCopier::Init SandboxCopier::Init::Duplicate() const {
  return {pid, UniqueFd(fcntl(pidfd.get(), F_DUPFD_CLOEXEC, 0)), user};
}

absl::StatusOr<UniqueFd> SandboxCopier::OpenDirectoryOf(const Init& init, const char* directory) {
  const std::string path = absl::StrCat("/proc/", init.pid, "/root", directory);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  // It was the right one if that process still lives: its pid is nobody else's then.
  pollfd ended = {init.pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) != 0) return absl::NotFoundError("the sandbox has ended");
  return fd;
}

absl::StatusOr<bool> SandboxCopier::HasFilesToCopy(int64_t sandbox_id) const {
  const auto waiting = waiting_.find(sandbox_id);
  if (waiting == waiting_.end()) return absl::NotFoundError("there is no such copy");
  const auto parent = shadows_.find(waiting->second.parent_id);
  if (parent == shadows_.end()) return absl::AbortedError("its parent has ended meanwhile");
  for (const char* name : kDirectories) {
    CLOISTER_ASSIGN_OR_RETURN(const UniqueFd directory, OpenDirectoryOf(parent->second.init, name));
    CLOISTER_ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(directory.get()));
    if (!empty) return true;
  }
  return false;
}

absl::Status SandboxCopier::CopyDirectories(const Init& from, const Init& to) const {
  constexpr size_t kCount = std::size(kDirectories);
  UniqueFd sources[kCount];
  UniqueFd targets[kCount];
  CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
  for (size_t i = 0; i < kCount; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(sources[i], OpenDirectoryOf(from, kDirectories[i]));
    CLOISTER_ASSIGN_OR_RETURN(targets[i], OpenDirectoryOf(to, kDirectories[i]));
    CLOISTER_RETURN_IF_ERROR(policy.Allow(sources[i].get(), LandlockAccess::kReadExecute));
    CLOISTER_RETURN_IF_ERROR(policy.Allow(targets[i].get(), LandlockAccess::kReadWrite));
  }
  // Nothing but these four, whatever tricks the tree has.
  if (config_.landlock()) CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
  const TreeOwner owner = {.user = to.user,
                           .group = static_cast<gid_t>(config_.sandbox_gid())};
  for (size_t i = 0; i < kCount; ++i) {
    const absl::Status status = CopyTree(sources[i].get(), targets[i].get(), owner);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("copy ", kDirectories[i], ": ",
                                                      status.message()));
    }
  }
  return absl::OkStatus();
}

int SandboxCopier::CopyFiles(int64_t sandbox_id, int go, int report) const {
  char byte;
  if (read(go, &byte, 1) != 1) return kFilesFailed;  // nobody wants the copy any more
  const auto waiting = waiting_.find(sandbox_id);
  const auto parent = shadows_.find(waiting->second.parent_id);
  const auto self = shadows_.find(sandbox_id);
  umask(0);
  DieFirst();
  const absl::Status status = CopyDirectories(parent->second.init, self->second.init);
  if (status.ok()) return 0;
  const absl::string_view message = status.message();
  const std::string text = ForeignText({message.data(), message.size()}, kMaxReportBytes);
  (void)!write(report, text.data(), text.size());
  // No space, too many links, names that are too deep.
  return absl::IsResourceExhausted(status) ? kFilesRefused : kFilesFailed;
}

}  // namespace cloister::sandbox
