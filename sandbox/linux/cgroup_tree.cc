#include "sandbox/linux/cgroup_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup_parse.h"

namespace cloister::sandbox {
namespace {

// A hostile group forks as fast as it can; its pids limit ends that long before this many passes.
constexpr int kMaxKillPasses = 100;
// Between two attempts at removing a group whose members are dying.
constexpr absl::Duration kRemovalInterval = absl::Milliseconds(2);

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t count =
        ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SyscallError(absl::StrCat("read ", path));
    text.append(buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
    // The kernel goes on to at least half a page where there is more.
    if (count < static_cast<ssize_t>(buffer.size() / 2)) return text;
  }
}

// One line in one call: the kernel takes each write(2) as a whole value.
absl::Status WriteAtStart(int fd, const std::string& path, std::string_view value) {
  const std::string line = absl::StrCat(absl::string_view(value.data(), value.size()), "\n");
  ssize_t count;
  do {
    count = ::pwrite(fd, line.data(), line.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  return SyscallError(
      absl::StrCat("write \"", absl::string_view(value.data(), value.size()), "\" to ", path));
}

absl::StatusOr<std::vector<pid_t>> Members(const std::string& directory) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string text,
                            ReadSmallFile(absl::StrCat(directory, "/cgroup.procs")));
  return ParsePids(text);
}

// One attempt at a directory and all below it.
absl::Status TryRemove(CgroupTree& tree, const std::string& directory) {
  for (const std::string& group : SubGroups(directory)) {
    CLOISTER_RETURN_IF_ERROR(TryRemove(tree, group));
  }
  const absl::Status removed = tree.RemoveDirectory(directory);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// Kills as far as it is allowed to; whether it was shows when the directory is to be removed.
void KillTree(const std::string& directory) {
  for (const std::string& group : SubGroups(directory)) KillTree(group);
  KillMembers(directory).IgnoreError();
}

}  // namespace

absl::Status CgroupTree::MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) < 0) return SyscallError(absl::StrCat("mkdir ", path));
  return absl::OkStatus();
}

absl::Status CgroupTree::RemoveDirectory(const std::string& path) {
  if (::rmdir(path.c_str()) < 0) return SyscallError(absl::StrCat("rmdir ", path));
  return absl::OkStatus();
}

absl::StatusOr<CgroupSystem> CgroupSystem::Running() {
  CgroupSystem system;
  CLOISTER_ASSIGN_OR_RETURN(system.mountinfo, ReadSmallFile("/proc/self/mountinfo"));
  CLOISTER_ASSIGN_OR_RETURN(system.own_cgroups, ReadSmallFile("/proc/self/cgroup"));
  system.tree = std::make_shared<CgroupTree>();
  return system;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  return ReadAll(fd.get(), path);
}

absl::Status WriteControl(const std::string& path, std::string_view value) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  return WriteAtStart(fd.get(), path, value);
}

absl::StatusOr<ControlFile> ControlFile::Open(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  return ControlFile(path, /*present=*/true, std::move(fd), flags);
}

absl::StatusOr<ControlFile> ControlFile::OpenIfPresent(const std::string& path, int flags) {
  absl::StatusOr<ControlFile> file = Open(path, flags);
  if (absl::IsNotFound(file.status())) {
    return ControlFile(path, /*present=*/false, UniqueFd(), std::nullopt);
  }
  return file;
}

ControlFile ControlFile::OpenedOnUse(const std::string& path) {
  return ControlFile(path, ::access(path.c_str(), F_OK) == 0, UniqueFd(), std::nullopt);
}

absl::Status ControlFile::Prepare() const {
  if (!present_) return absl::UnimplementedError(absl::StrCat("this kernel has no ", path_));
  if (fd_ || !kept_flags_.has_value()) return absl::OkStatus();
  fd_ = UniqueFd(::open(path_.c_str(), *kept_flags_ | O_CLOEXEC));
  return fd_ ? absl::OkStatus() : SyscallError(absl::StrCat("open ", path_));
}

absl::StatusOr<std::string> ControlFile::Read() const {
  CLOISTER_RETURN_IF_ERROR(Prepare());
  return fd_ ? ReadAll(fd_.get(), path_) : ReadSmallFile(path_);
}

absl::StatusOr<int64_t> ControlFile::ReadCounter() const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, Read());
  return ParseCounter(text);
}

absl::Status ControlFile::Write(std::string_view value) const {
  CLOISTER_RETURN_IF_ERROR(Prepare());
  return fd_ ? WriteAtStart(fd_.get(), path_, value) : WriteControl(path_, value);
}

absl::Status ControlFile::Write(int64_t value) const {
  const absl::AlphaNum text(value);
  return Write(std::string_view(text.data(), text.size()));
}

absl::StatusOr<UniqueFd> ControlFile::Duplicate() const {
  CLOISTER_RETURN_IF_ERROR(Prepare());
  UniqueFd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return SyscallError(absl::StrCat("duplicate the descriptor of ", path_));
  return copy;
}

absl::StatusOr<UniqueFd> ControlFile::OpenToRead() const {
  CLOISTER_RETURN_IF_ERROR(Prepare());
  UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path_));
  return fd;
}

absl::Status KillMembers(const std::string& directory) {
  std::set<pid_t> told;
  for (int pass = 0; pass < kMaxKillPasses; ++pass) {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<pid_t> listed, Members(directory));
    std::map<pid_t, UniqueFd> held;
    for (const pid_t pid : listed) {
      if (told.contains(pid)) continue;
      UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      if (pidfd) held.emplace(pid, std::move(pidfd));
    }
    if (held.empty()) return absl::OkStatus();
    // A pid that is listed still was never given to anybody outside the group: the descriptor is
    // right.
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<pid_t> still_listed, Members(directory));
    for (const pid_t pid : still_listed) {
      const auto member = held.find(pid);
      if (member == held.end()) continue;
      if (::syscall(SYS_pidfd_send_signal, member->second.get(), SIGKILL, nullptr, 0) < 0 &&
          errno != ESRCH) {
        return SyscallError(absl::StrCat("kill ", pid, " of ", directory));
      }
      told.insert(pid);
    }
  }
  return absl::UnavailableError(
      absl::StrCat("processes in ", directory, " multiply faster than they can be killed"));
}

std::vector<std::string> SubGroups(const std::string& directory) {
  std::vector<std::string> groups;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) groups.push_back(entry.path());
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

absl::Status RemoveGroupTree(CgroupTree& tree, const std::string& directory,
                             absl::Duration patience) {
  const int64_t deadline = MonotonicNanoseconds() + absl::ToInt64Nanoseconds(patience);
  while (true) {
    absl::Status status = TryRemove(tree, directory);
    if (status.ok() || MonotonicNanoseconds() >= deadline) return status;
    KillTree(directory);
    absl::SleepFor(kRemovalInterval);
  }
}

}  // namespace cloister::sandbox
