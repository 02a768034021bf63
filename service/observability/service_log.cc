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

const char* Name(core::LiveEnd how) {
  switch (how) {
    case core::LiveEnd::kDeleted:
      return "deleted";
    case core::LiveEnd::kTtl:
      return "ttl";
    case core::LiveEnd::kIdleTimeout:
      return "idle_timeout";
    case core::LiveEnd::kDrain:
      return "drain";
    case core::LiveEnd::kFailed:
      break;
  }
  return "failed";
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

void ServiceLog::OnLiveStarted(const std::string& sandbox, const std::string& pool,
                               v1::StartKind start, absl::Duration took) {
  log_.Info("sandbox started",
            {{"sandbox", sandbox},
             {"template", pool},
             {"start", Lower(v1::StartKind_Name(start), "START_KIND_")},
             {"took_s", took}});
}

void ServiceLog::OnLiveSetupFailed(const std::string& sandbox, const absl::Status& why) {
  log_.Warn("sandbox not set up", {{"sandbox", sandbox}, {"error", std::string(why.message())}});
}

void ServiceLog::OnLiveRestarted(const std::string& sandbox) {
  log_.Info("sandbox restarted", {{"sandbox", sandbox}});
}

void ServiceLog::OnLiveLost(const std::string& sandbox, v1::Outcome::Kind cause,
                            const std::string& detail) {
  log_.Info("sandbox lost", {{"sandbox", sandbox},
                             {"cause", Lower(v1::Outcome::Kind_Name(cause), "KIND_")},
                             {"detail", detail}});
}

void ServiceLog::OnLiveEnded(const std::string& sandbox, core::LiveEnd how) {
  log_.Info("sandbox ended", {{"sandbox", sandbox}, {"how", Name(how)}});
}

void ServiceLog::OnInterpreterStarted(const std::string& interpreter,
                                      v1::Interpreter::Profile profile, absl::Duration took) {
  log_.Info("interpreter started",
            {{"interpreter", interpreter},
             {"profile", Lower(v1::Interpreter::Profile_Name(profile), "PROFILE_")},
             {"took_s", took}});
}

void ServiceLog::OnInterpreterSetupFailed(const std::string& interpreter,
                                          const absl::Status& why) {
  log_.Warn("interpreter not made",
            {{"interpreter", interpreter}, {"error", std::string(why.message())}});
}

void ServiceLog::OnInterpreterLost(const std::string& interpreter,
                                   v1::Interpreter::Profile /*profile*/, v1::Outcome::Kind cause,
                                   const std::string& detail) {
  log_.Info("interpreter lost", {{"interpreter", interpreter},
                                 {"cause", Lower(v1::Outcome::Kind_Name(cause), "KIND_")},
                                 {"detail", detail}});
}

void ServiceLog::OnExecutionEnded(const core::ExecutionRecord& record) {
  // Code that calls other interpreters of its sandbox could fill the disk.
  const Severity severity = record.is_inner ? Severity::kDebug : Severity::kInfo;
  if (!record.status.ok()) {
    log_.Write(severity, "execution not run",
               {{"execution", record.name},
                {"request_id", record.request_id},
                {"template", record.template_name},
                {"interpreter", record.interpreter},
                {"reason", core::ReasonName(core::ReasonOf(record.status))},
                {"queued_s", record.queued},
                {"error", std::string(record.status.message())},
                {"cause", record.setup_error}});
    return;
  }
  const v1::Outcome& outcome = record.outcome;
  const v1::Usage& usage = outcome.usage();
  log_.Write(severity, "execution ended",
             {{"execution", record.name},
              {"request_id", record.request_id},
              {"template", record.template_name},
              {"interpreter", record.interpreter},
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
