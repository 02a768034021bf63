#include "service/observability/logging.h"

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/observability/audit_log.h"
#include "service/observability/service_log.h"
#include "spdlog/sinks/ostream_sink.h"

namespace cloister::observability {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  Log Make(LogFormat format, Severity least = Severity::kDebug) {
    return Log(least, format, std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
  }
  std::string Text() const { return text_.str(); }

  std::ostringstream text_;
};

TEST_F(LogTest, WritesKeysAndValues) {
  Make(LogFormat::kText)
      .Info("it happened", {{"name", "plain"},
                            {"count", 3},
                            {"took_s", absl::Milliseconds(1500)},
                            {"yes", true},
                            {"empty", ""}});
  EXPECT_THAT(Text(),
              EndsWith(" info it happened name=plain count=3 took_s=1.5 yes=true empty=\"\"\n"));
}

TEST_F(LogTest, LetsNobodyForgeALine) {
  Make(LogFormat::kText).Warn("refused", {{"error", "a\n2026 info forged=\"1\" \x1b[31m \xff"}});
  const std::string text = Text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr(R"(error="a\n2026 info forged=\"1\" \x1b[31m \xff")"));
}

TEST_F(LogTest, TakesNothingForAFormat) {
  Make(LogFormat::kText).Info("{} {0} %s", {{"value", "{}%n"}});
  EXPECT_THAT(Text(), EndsWith(" info {} {0} %s value={}%n\n"));
}

TEST_F(LogTest, WritesJsonThatParses) {
  Make(LogFormat::kJson).Error("it \"broke\"\n", {{"bytes", "\xff\n"}, {"n", 7}, {"t", true}});
  const auto line = nlohmann::json::parse(Text());
  EXPECT_EQ(line["message"], "it \"broke\"\n");
  EXPECT_EQ(line["severity"], "error");
  EXPECT_EQ(line["n"], 7);
  EXPECT_EQ(line["t"], true);
  EXPECT_TRUE(line.contains("time"));
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevelAndCountsTheRest) {
  Log log = Make(LogFormat::kText, Severity::kWarn);
  std::vector<Severity> counted;
  log.SetCounter([&counted](Severity severity) { counted.push_back(severity); });
  log.Info("quiet");
  log.Error("loud");
  EXPECT_THAT(Text(), Not(HasSubstr("quiet")));
  EXPECT_THAT(counted, ::testing::ElementsAre(Severity::kError));
}

TEST_F(LogTest, HasOneLineForEachExecution) {
  Log log = Make(LogFormat::kText);
  ServiceLog observer(&log);
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_RAISED);
  outcome.mutable_exception()->set_message("what the guest said");
  *outcome.mutable_usage()->mutable_wall_time() = base::ToProto(absl::Milliseconds(250));
  outcome.mutable_usage()->set_stdout_bytes(12);
  const std::string name = "executions/abc", request = "evil\nid", python = "python", none;
  observer.OnExecutionEnded({.name = name,
                             .request_id = request,
                             .template_name = python,
                             .interpreter = none,
                             .sandbox_id = 7,
                             .start_kind = v1::START_KIND_WARM,
                             .queued = absl::ZeroDuration(),
                             .status = absl::OkStatus(),
                             .setup_error = none,
                             .outcome = outcome});
  const std::string text = Text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  for (const char* part :
       {"execution=executions/abc", "request_id=\"evil\\nid\"", "template=python", "sandbox=7",
        "start=warm", "outcome=raised", "wall_s=0.25", "stdout_bytes=12"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("what the guest said")));
}

TEST_F(LogTest, CallsOfCodeInsideAreForThoseWhoLookForThem) {
  Log log = Make(LogFormat::kText, Severity::kInfo);
  ServiceLog observer(&log);
  const std::string none;
  for (const absl::Status& status : {absl::OkStatus(), absl::UnavailableError("gone")}) {
    core::ExecutionRecord record{.name = none,
                                 .request_id = none,
                                 .template_name = none,
                                 .interpreter = none,
                                 .status = status,
                                 .setup_error = none,
                                 .outcome = v1::Outcome::default_instance(),
                                 .is_inner = true};
    observer.OnExecutionEnded(record);
    EXPECT_EQ(Text(), "");
  }
}

TEST_F(LogTest, TellsOurFaultsFromCallers) {
  Log log = Make(LogFormat::kText);
  ServiceLog observer(&log);
  observer.OnCallEnded(core::CallMethod::kRunCode, absl::OkStatus(), absl::Seconds(1));
  EXPECT_EQ(Text(), "");
  observer.OnCallEnded(core::CallMethod::kRunCode,
                       core::MakeError(v1::ERROR_REASON_OVERLOADED, "later"), absl::Seconds(1));
  EXPECT_THAT(Text(), HasSubstr(" info call failed method=cloister.v1.ExecutionService/RunCode "
                                "status=UNAVAILABLE reason=OVERLOADED"));
  observer.OnCallEnded(core::CallMethod::kExecute, absl::InternalError("bug"), absl::Seconds(1));
  EXPECT_THAT(Text(), HasSubstr(" error call failed"));
}

TEST_F(LogTest, AuditsOneLineForACall) {
  Log log = Make(LogFormat::kText);
  AuditLog audit(&log);
  audit.OnCallAudited(core::CallMethod::kDeleteSandbox,
                      {.tenant = "one",
                       .credential = "token:0123abcd",
                       .peer = "ipv4:1.2.3.4:5",
                       .subject = "sandboxes/a\nforged=1"},
                      core::MakeError(v1::ERROR_REASON_SANDBOX_NOT_FOUND, "the message"),
                      absl::Milliseconds(1500));
  EXPECT_THAT(Text(),
              EndsWith(" info audit tenant=one credential=token:0123abcd peer=ipv4:1.2.3.4:5 "
                       "method=cloister.v1.SandboxService/DeleteSandbox "
                       R"(subject="sandboxes/a\nforged=1" made="" status=NOT_FOUND )"
                       "reason=SANDBOX_NOT_FOUND took_s=1.5\n"));
}

TEST_F(LogTest, AnAuditLogThatCannotBeOpenedSaysSo) {
  Log log = Make(LogFormat::kText);
  AuditLog audit(&log);
  const absl::Status status = audit.Open("/no/such/directory/audit.log", LogFormat::kText);
  EXPECT_THAT(std::string(status.message()), HasSubstr("audit.file: cannot open /no/such"));
}

}  // namespace
}  // namespace cloister::observability
