// The part of the zygote that has live sandboxes copied: see copier.h.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/process_memory.h"
#include "sandbox/zygote/refusal.h"
#include "sandbox/zygote/zygote.h"

namespace cloister::sandbox {

using internal::v1::ZygoteEvent;

absl::Status Zygote::CopySandbox(const PendingClone& pending, const Init& init) {
  if (copier_ == nullptr) {
    return absl::UnimplementedError("without namespaces, sandboxes cannot be copied");
  }
  StageClock clock;
  clock.Begin("descriptors");
  CLOISTER_ASSIGN_OR_RETURN(const SandboxPipes pipes, SandboxPipes::Make());
  CLOISTER_ASSIGN_OR_RETURN(
      const SandboxCopier::Copy copy,
      copier_->CopySandbox(*pending.copy, init.Duplicate(), pipes.ForSandbox(), clock));
  children_[copy.shadow] = {pending.sandbox_id, Role::kShadow, pending.sandbox_id};
  absl::StatusOr<Cloned> cloned = DescribeCopy(pending.sandbox_id, copy);
  if (!cloned.ok()) {
    (void)copier_->Forget(pending.sandbox_id);
    return cloned.status();
  }
  // A snapshot's is its shadow.
  AddResident(copy.first_process, pending.sandbox_id, pending.sandbox_id, init.user);
  return TellCloned(pending, clock, *cloned, init, pipes);
}

absl::StatusOr<Zygote::Cloned> Zygote::DescribeCopy(int64_t sandbox_id,
                                                    const SandboxCopier::Copy& copy) {
  Cloned cloned;
  CLOISTER_ASSIGN_OR_RETURN(cloned.first_process, OpenPidfd(copy.first_process));
  if (copy.shadow != copy.first_process) {
    CLOISTER_ASSIGN_OR_RETURN(cloned.shadow, OpenPidfd(copy.shadow));
  }
  const absl::StatusOr<int64_t> memory = AnonymousMemoryBytes(copy.first_process);
  const absl::StatusOr<int64_t> own = AnonymousMemoryBytes(getpid());
  if (memory.ok() && own.ok()) cloned.memory_bytes = std::max<int64_t>(*memory - *own, 0);
  CLOISTER_ASSIGN_OR_RETURN(cloned.file_copier, StartFileCopier(sandbox_id));
  return cloned;
}

absl::StatusOr<UniqueFd> Zygote::StartFileCopier(int64_t sandbox_id) {
  CLOISTER_ASSIGN_OR_RETURN(const bool has_files, copier_->HasFilesToCopy(sandbox_id));
  if (!has_files) return UniqueFd();
  int go[2];
  int report[2];
  if (pipe2(go, O_CLOEXEC) != 0) return SyscallError("pipe");
  UniqueFd go_read(go[0]);
  FileCopier copier = {sandbox_id, UniqueFd(go[1]), UniqueFd()};
  if (pipe2(report, O_CLOEXEC) != 0) return SyscallError("pipe");
  copier.report.reset(report[0]);
  const UniqueFd report_write(report[1]);
  CLOISTER_RETURN_IF_ERROR(copier_->GoHome());
  CLOISTER_ASSIGN_OR_RETURN(CloneResult clone, CloneProcess());
  if (clone.in_child) {
    copier.go.reset();
    _exit(copier_->CopyFiles(sandbox_id, go_read.get(), report_write.get()));
  }
  file_copiers_.emplace(clone.pid, std::move(copier));
  return std::move(clone.pidfd);
}

std::unordered_map<pid_t, Zygote::FileCopier>::iterator Zygote::FindFileCopier(
    int64_t sandbox_id) {
  return std::find_if(file_copiers_.begin(), file_copiers_.end(),
                      [=](const auto& one) { return one.second.sandbox_id == sandbox_id; });
}

absl::Status Zygote::FinishCopy(int64_t sandbox_id) {
  if (copier_ == nullptr) return absl::OkStatus();
  const auto files = FindFileCopier(sandbox_id);
  if (files == file_copiers_.end()) return ReleaseCopy(sandbox_id);
  if (write(files->second.go.get(), "", 1) == 1) return absl::OkStatus();
  return FailCopy(sandbox_id, SyscallError("begin the copying of files"));
}

absl::Status Zygote::OnFilesCopied(const FileCopier& copier,
                                   const internal::v1::ChildExited& exited) {
  if (exited.wait_code() != CLD_EXITED) {
    const bool was_killed = exited.wait_code() == CLD_KILLED && exited.wait_status() == SIGKILL;
    return FailCopy(copier.sandbox_id,
                    was_killed ? Refusal("its files do not fit into the memory of the copy: free "
                                         "some, or give the copy more")
                               : absl::InternalError("the copying of files died"));
  }
  if (exited.wait_status() == 0) return ReleaseCopy(copier.sandbox_id);
  std::array<char, 512> text;
  const ssize_t size = read(copier.report.get(), text.data(), text.size());
  const std::string why(text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return FailCopy(copier.sandbox_id, exited.wait_status() == SandboxCopier::kFilesRefused
                                         ? Refusal("its files do not fit into the copy: " + why)
                                         : absl::InternalError(why));
}

absl::Status Zygote::ReleaseCopy(int64_t sandbox_id) {
  if (absl::Status status = copier_->Release(sandbox_id); !status.ok()) {
    return FailCopy(sandbox_id, status);
  }
  ZygoteEvent event;
  event.mutable_copy_finished()->set_sandbox_id(sandbox_id);
  return Send(event);
}

// The first process's end follows, as ever.
absl::Status Zygote::FailCopy(int64_t sandbox_id, const absl::Status& status) {
  (void)copier_->Forget(sandbox_id);
  return ReportCloneFailure(sandbox_id, status);
}

}  // namespace cloister::sandbox
