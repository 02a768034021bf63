// A line for each call: who, what, how it ended. No code, no data, no credentials.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_AUDIT_LOG_H_
#define CLOISTER_SERVICE_OBSERVABILITY_AUDIT_LOG_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "service/core/call_observer.h"
#include "service/observability/logging.h"

namespace cloister::observability {

// Thread-safety: safe; Open once, before there are calls. Ownership: `log` must outlive it.
class AuditLog final : public core::CallObserver {
 public:
  // Lines go to `log` until Open names a file.
  explicit AuditLog(Log* log) : log_(log) {}

  // Lines are added to the file, each at once. Errors: where it cannot be opened.
  absl::Status Open(const std::string& path, LogFormat format) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same path again; where it cannot be opened, lines go where they went.
  absl::Status Reopen() ABSL_LOCKS_EXCLUDED(mutex_);

  // core::CallObserver
  void OnCallAudited(core::CallMethod method, const core::CallParties& parties,
                     const absl::Status& status, absl::Duration took) override
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Log* const log_;
  // Once it is open.
  std::string path_;
  LogFormat format_ = LogFormat::kText;
  absl::Mutex mutex_;
  std::shared_ptr<Log> file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_AUDIT_LOG_H_
