#include "clients/cli/commands/outcome_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(OutcomeTextTest, TellsKindCauseAndUsage) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_WALL_TIMEOUT);
  outcome.set_detail("The wall-clock limit of 5 s passed.");
  outcome.mutable_usage()->mutable_wall_time()->set_seconds(5);
  outcome.mutable_usage()->mutable_cpu_time()->set_nanos(12'000'000);
  outcome.mutable_usage()->set_peak_memory_bytes(8 << 20);
  EXPECT_EQ(OutcomeText(outcome),
            "WALL_TIMEOUT: The wall-clock limit of 5 s passed (5.00 s wall, 12.0 ms cpu, 8 MiB)");
}

TEST(OutcomeTextTest, LeavesQuotesAlone) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_RAISED);
  outcome.mutable_exception()->set_type("TypeError");
  outcome.mutable_exception()->set_message("can't call \"f\"");
  EXPECT_THAT(OutcomeText(outcome), StartsWith("RAISED: TypeError: can't call \"f\""));
}

TEST(OutcomeTextTest, TamesWhatTheGuestSays) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_RAISED);
  outcome.mutable_exception()->set_type("ValueError");
  outcome.mutable_exception()->set_message("a\n\x1b[2Jb ä" + std::string(5000, 'x'));
  const std::string text = OutcomeText(outcome);
  EXPECT_THAT(text, StartsWith("RAISED: ValueError: a\\n\\033[2Jb ä"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_LT(text.size(), 1000u);
}

TEST(OutcomeTextTest, NamesSignalsAndLostOutput) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_SIGNALED);
  outcome.set_signal(11);
  outcome.set_truncated_stdout_bytes(2048);
  EXPECT_THAT(OutcomeText(outcome), StartsWith("SIGNALED: SIGSEGV ("));
  EXPECT_THAT(OutcomeText(outcome), HasSubstr("2 KiB of output not delivered"));
}

TEST(OutcomeTextTest, SuccessNeedsNoLine) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_SUCCEEDED);
  EXPECT_FALSE(IsWorthALine(outcome));
  outcome.set_kind(v1::Outcome::KIND_EXITED);
  EXPECT_FALSE(IsWorthALine(outcome));
  outcome.set_exit_code(3);
  EXPECT_TRUE(IsWorthALine(outcome));
}

TEST(ResultJsonTest, HasTheProtosNamesAndKeepsBytes) {
  v1::Started started;
  started.set_execution("executions/abc");
  started.set_start_kind(v1::START_KIND_COLD);
  v1::Finished finished;
  finished.mutable_outcome()->set_kind(v1::Outcome::KIND_EXITED);
  finished.mutable_outcome()->set_exit_code(3);
  finished.add_files()->set_path("a");
  finished.mutable_files(0)->set_content("\xff");
  finished.add_files()->set_path("b");
  finished.mutable_files(1)->set_error("missing");
  CollectedOutput output{.out = "ok ä\n", .err = "\xfe\xff"};
  v1::LateOutput late;
  late.set_execution("executions/earlier");
  late.set_stdout("\xc3");
  AppendLate(late, &output.late);
  late.set_stdout("\xa4\n");
  AppendLate(late, &output.late);
  output.displays.emplace_back();
  (*output.displays[0].mutable_bundle()->mutable_data())["text/plain"] = "a figure";
  (*output.displays[0].mutable_bundle()->mutable_data())["image/png"] = "\x89PNG";
  output.displays[0].set_display_id("one");
  const auto json = ResultJson(started, finished, output);
  EXPECT_EQ(json["displays"][0]["bundle"]["data"]["text/plain"], "a figure");
  EXPECT_EQ(json["displays"][0]["bundle"]["data"]["image/png_base64"], "iVBORw==");
  EXPECT_EQ(json["displays"][0]["display_id"], "one");
  ASSERT_EQ(json["late_output"].size(), 1U) << "one piece, or its characters would be cut";
  EXPECT_EQ(json["late_output"][0]["execution"], "executions/earlier");
  EXPECT_EQ(json["late_output"][0]["stdout"], "ä\n");
  EXPECT_EQ(json["execution"], "executions/abc");
  EXPECT_EQ(json["start_kind"], "START_KIND_COLD");
  EXPECT_EQ(json["outcome"]["kind"], "KIND_EXITED");
  EXPECT_EQ(json["outcome"]["exit_code"], 3);
  EXPECT_EQ(json["outcome"]["state_preserved"], false);
  EXPECT_EQ(json["stdout"], "ok ä\n");
  EXPECT_FALSE(json.contains("stderr"));
  EXPECT_EQ(json["stderr_base64"], "/v8=");
  EXPECT_EQ(json["files"][0]["content_base64"], "/w==");
  EXPECT_EQ(json["files"][1]["error"], "missing");
  EXPECT_FALSE(json.dump().empty());
}

}  // namespace
}  // namespace cloister::cli
