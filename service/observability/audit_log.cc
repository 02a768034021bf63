#include "service/observability/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "spdlog/sinks/basic_file_sink.h"

namespace cloister::observability {

namespace {

absl::StatusOr<std::shared_ptr<Log>> OpenLog(const std::string& path, LogFormat format) {
  // Made here, so that not everybody may read it, and so that it is known to open.
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("audit.file: cannot open ", path));
  ::close(file);
  try {
    return std::make_shared<Log>(Severity::kInfo, format,
                                 std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
  } catch (const spdlog::spdlog_ex& error) {
    return absl::FailedPreconditionError(absl::StrCat("audit.file: ", error.what()));
  }
}

}  // namespace

absl::Status AuditLog::Open(const std::string& path, LogFormat format) {
  path_ = path;
  format_ = format;
  return Reopen();
}

absl::Status AuditLog::Reopen() {
  if (path_.empty()) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<Log>> opened = OpenLog(path_, format_);
  if (!opened.ok()) return opened.status();
  absl::MutexLock lock(&mutex_);
  file_ = *std::move(opened);
  return absl::OkStatus();
}

void AuditLog::OnCallAudited(core::CallMethod method, const core::CallParties& parties,
                             const absl::Status& status, absl::Duration took) {
  std::shared_ptr<Log> file;
  {
    absl::MutexLock lock(&mutex_);
    file = file_;
  }
  Log& log = file == nullptr ? *log_ : *file;
  log.Info("audit", {{"tenant", parties.tenant},
                     {"credential", parties.credential},
                     {"peer", parties.peer},
                     {"method", core::kCallMethodNames[static_cast<size_t>(method)]},
                     {"subject", parties.subject},
                     {"made", parties.made},
                     {"status", absl::StatusCodeToString(status.code())},
                     {"reason", core::ReasonName(core::ReasonOf(status))},
                     {"took_s", took}});
}

}  // namespace cloister::observability
