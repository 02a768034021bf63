#include "service/observability/service_log.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"

namespace cloister::observability {
namespace {

// "KIND_WALL_TIMEOUT" → "wall_timeout".
std::string Lower(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

const char* Name(core::ZygoteEnd how) {
  switch (how) {
    case core::ZygoteEnd::kRotated:
      return "rotated";
    case core::ZygoteEnd::kStopped:
      return "stopped";
    case core::ZygoteEnd::kCrashed:
      break;
  }
  return "crashed";
}

}  // namespace

void ServiceLog::OnSandboxStartFailed(const std::string& pool, const absl::Status& why) {
  log_.Warn("sandbox not made", {{"template", pool}, {"error", std::string(why.message())}});
}

void ServiceLog::OnZygoteStarted(const std::string& pool, const sandbox::ZygoteInfo& info) {
  log_.Info("zygote ready", {{"template", pool},
                             {"zygote", info.zygote_id},
                             {"python", info.python_version},
                             {"warm_up_s", info.warm_up}});
}

void ServiceLog::OnZygoteStartFailed(const std::string& pool, const absl::Status& why) {
  log_.Error("zygote not started", {{"template", pool}, {"error", std::string(why.message())}});
}

void ServiceLog::OnZygoteEnded(const std::string& pool, core::ZygoteEnd how,
                               const std::string& reason) {
  log_.Write(how == core::ZygoteEnd::kCrashed ? Severity::kWarn : Severity::kInfo, "zygote ended",
             {{"template", pool}, {"how", Name(how)}, {"reason", reason}});
}

void ServiceLog::OnSpawnerLost(const std::string& reason) {
  log_.Error("spawner lost", {{"reason", reason}});
}

void ServiceLog::OnExecutionEnded(const core::ExecutionRecord& record) {
  if (!record.status.ok()) {
    log_.Info("execution not run", {{"execution", record.name},
                                    {"request_id", record.request_id},
                                    {"template", record.template_name},
                                    {"reason", core::ReasonName(core::ReasonOf(record.status))},
                                    {"queued_s", record.queued},
                                    {"error", std::string(record.status.message())},
                                    {"cause", record.setup_error}});
    return;
  }
  const v1::Outcome& outcome = record.outcome;
  const v1::Usage& usage = outcome.usage();
  log_.Info("execution ended",
            {{"execution", record.name},
             {"request_id", record.request_id},
             {"template", record.template_name},
             {"sandbox", record.sandbox_id},
             {"start", Lower(v1::StartKind_Name(record.start_kind), "START_KIND_")},
             {"outcome", Lower(v1::Outcome::Kind_Name(outcome.kind()), "KIND_")},
             {"exit_code", outcome.exit_code()},
             {"signal", outcome.signal()},
             {"queued_s", record.queued},
             {"wall_s", base::FromProto(usage.wall_time())},
             {"cpu_s", base::FromProto(usage.cpu_time())},
             {"peak_memory_bytes", usage.peak_memory_bytes()},
             {"stdout_bytes", usage.stdout_bytes()},
             {"stderr_bytes", usage.stderr_bytes()}});
}

// Executions have a line of their own, so only what never became one, or broke, is told here.
void ServiceLog::OnCallEnded(core::CallMethod method, const absl::Status& status,
                             absl::Duration took) {
  if (status.ok()) return;
  const v1::ErrorReason reason = core::ReasonOf(status);
  const bool ours =
      reason == v1::ERROR_REASON_UNSPECIFIED && status.code() != absl::StatusCode::kCancelled;
  log_.Write(ours ? Severity::kError : Severity::kInfo, "call failed",
             {{"method", core::kCallMethodNames[static_cast<size_t>(method)]},
              {"status", absl::StatusCodeToString(status.code())},
              {"reason", core::ReasonName(reason)},
              {"took_s", took},
              {"error", std::string(status.message())}});
}

}  // namespace cloister::observability
