// One program over many inputs.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct MapEnd {
  std::vector<v1::MapVerdict> verdicts;
  v1::MapSummary summary;
  grpc::Status status;
};

class MapTest : public LiveTest {
 protected:
  // Inputs i = 0, 1, … in the variable `i`.
  static v1::MapCodeRequest Over(int count, const std::string& code) {
    v1::MapCodeRequest request;
    request.mutable_program()->set_code(code);
    for (int i = 0; i < count; ++i) {
      (*request.add_inputs()->mutable_variables())["i"].set_int_value(i);
    }
    return request;
  }
  MapEnd Map(const v1::MapCodeRequest& request) {
    const auto context = Context();
    auto reader = server_->executions().MapCode(context.get(), request);
    MapEnd end;
    v1::MapCodeResponse response;
    while (reader->Read(&response)) {
      if (response.has_verdict()) end.verdicts.push_back(response.verdict());
      if (response.has_summary()) end.summary = response.summary();
    }
    end.status = reader->Finish();
    return end;
  }
  static std::vector<int> Indices(const MapEnd& end) {
    std::vector<int> indices;
    for (const v1::MapVerdict& verdict : end.verdicts) indices.push_back(verdict.index());
    return indices;
  }
};

TEST_F(MapTest, EveryInputHasItsVerdictInOrder) {
  v1::MapCodeRequest request = Over(40, "print(i * i)");
  const MapEnd end = Map(request);
  ASSERT_TRUE(end.status.ok()) << end.status.error_message();
  ASSERT_EQ(end.verdicts.size(), 40u);
  for (int i = 0; i < 40; ++i) {
    const v1::MapVerdict& verdict = end.verdicts[static_cast<size_t>(i)];
    EXPECT_EQ(verdict.index(), i);
    EXPECT_EQ(Describe(verdict.outcome()), "SUCCEEDED") << verdict.DebugString();
    EXPECT_EQ(verdict.stdout(), absl::StrCat(i * i, "\n"));
    EXPECT_NE(verdict.start_kind(), v1::START_KIND_UNSPECIFIED);
  }
  EXPECT_EQ(end.summary.succeeded_count(), 40);
  EXPECT_EQ(end.summary.failed_count(), 0);
  EXPECT_EQ(end.summary.skipped_count(), 0);
}

// The compiler says it on stderr, so whoever compiles has it there.
constexpr char kWarnsWhenCompiled[] = "x = '\\d'\n";

TEST_F(MapTest, AManyTimesRunProgramIsCompiledOnce) {
  const MapEnd few = Map(Over(2, kWarnsWhenCompiled));
  ASSERT_EQ(few.verdicts.size(), 2u);
  for (const v1::MapVerdict& verdict : few.verdicts) {
    EXPECT_THAT(verdict.stderr(), HasSubstr("SyntaxWarning"));
  }
  const MapEnd many = Map(Over(8, kWarnsWhenCompiled));
  ASSERT_EQ(many.verdicts.size(), 8u);
  for (const v1::MapVerdict& verdict : many.verdicts) {
    EXPECT_EQ(Describe(verdict.outcome()), "SUCCEEDED");
    EXPECT_EQ(verdict.stderr(), "");
  }
}

TEST_F(MapTest, CompiledOnceItBehavesAsEver) {
  v1::MapCodeRequest request = Over(8, R"(# coding: latin-1
from __future__ import annotations
class A:
    x: Undefined = 1
def f(n):
    assert n != 3, "three"
    return n, A.x, __file__, __name__
f(i))");
  request.mutable_program()->set_file_name("solution.py");
  request.mutable_program()->set_return_value(true);
  const MapEnd end = Map(request);
  ASSERT_EQ(end.verdicts.size(), 8u) << end.status.error_message();
  EXPECT_EQ(end.verdicts[1].outcome().value().text(), "(1, 1, 'solution.py', '__main__')");
  const v1::MapVerdict& failed = end.verdicts[3];
  EXPECT_EQ(Describe(failed.outcome()), "RAISED AssertionError");
  EXPECT_THAT(failed.stderr(), HasSubstr("File \"solution.py\", line 6, in f"));
  EXPECT_THAT(failed.stderr(), HasSubstr("assert n != 3, \"three\"")) << "source lines are shown";
  EXPECT_EQ(end.summary.succeeded_count(), 7);
}

TEST_F(MapTest, WhatDoesNotCompileFailsForEachInput) {
  const MapEnd end = Map(Over(9, "def f(:"));
  ASSERT_EQ(end.verdicts.size(), 9u);
  EXPECT_EQ(end.verdicts[8].outcome().exception().type(), "SyntaxError");
  EXPECT_EQ(end.summary.failed_count(), 9);
}

// Folded constants: code objects many times as large as the source.
TEST_F(MapTest, WhatGrowsTooMuchIsCompiledByEach) {
  std::string code = kWarnsWhenCompiled;
  for (int line = 0; line < 2000; ++line) absl::StrAppend(&code, "x = (", line, ",) * 200\n");
  const MapEnd end = Map(Over(8, code));
  EXPECT_EQ(end.summary.succeeded_count(), 8) << end.status.error_message();
  for (const v1::MapVerdict& verdict : end.verdicts) {
    EXPECT_THAT(verdict.stderr(), HasSubstr("SyntaxWarning"));
  }
}

TEST_F(MapTest, InputsDoNotMeet) {
  const MapEnd end =
      Map(Over(5, "import os\nassert not os.listdir('/tmp')\nopen('/tmp/x', 'w').close()"));
  EXPECT_EQ(end.summary.succeeded_count(), 5);
}

TEST_F(MapTest, ByCompletionASlowOneHoldsNobodyUp) {
  v1::MapCodeRequest request = Over(4, "import time\nif i == 0: time.sleep(1)");
  request.set_order(v1::MapCodeRequest::ORDER_COMPLETION);
  MapEnd end = Map(request);
  ASSERT_EQ(end.verdicts.size(), 4u);
  EXPECT_EQ(end.verdicts.back().index(), 0);
}

TEST_F(MapTest, ACallTakesTheInputsArguments) {
  v1::MapCodeRequest request;
  request.mutable_program()->set_code("def area(w, h, *, unit): return f'{w * h}{unit}'");
  request.mutable_program()->mutable_call()->set_function("area");
  (*request.mutable_program()->mutable_call()->mutable_keyword_arguments())["unit"]
      .set_string_value("m");
  for (int i = 1; i <= 3; ++i) {
    v1::MapInput& input = *request.add_inputs();
    input.add_arguments()->set_int_value(i);
    input.add_arguments()->set_int_value(10);
  }
  std::vector<std::string> results;
  for (const v1::MapVerdict& verdict : Map(request).verdicts) {
    results.push_back(verdict.outcome().value().string_value());
  }
  EXPECT_THAT(results, ElementsAre("10m", "20m", "30m"));
}

TEST_F(MapTest, EachInputHasItsStandardInput) {
  v1::MapCodeRequest request;
  request.mutable_program()->set_code("print(input()[::-1])");
  request.mutable_program()->set_stdin("default");
  request.add_inputs()->set_stdin("abc\n");
  request.add_inputs();
  const MapEnd end = Map(request);
  ASSERT_EQ(end.verdicts.size(), 2u);
  EXPECT_EQ(end.verdicts[0].stdout(), "cba\n");
  EXPECT_EQ(end.verdicts[1].stdout(), "tluafed\n");
}

TEST_F(MapTest, FailuresAreVerdictsLikeOthers) {
  const MapEnd end =
      Map(Over(4, "import sys\nif i == 1: 1 / 0\nif i == 2: sys.exit(3)\nif i == 3: sys.exit(0)"));
  ASSERT_EQ(end.verdicts.size(), 4u);
  EXPECT_EQ(Describe(end.verdicts[1].outcome()), "RAISED ZeroDivisionError");
  EXPECT_EQ(end.summary.succeeded_count(), 2);
  EXPECT_EQ(end.summary.failed_count(), 2);
}

TEST_F(MapTest, InOrderTheFirstFailureIsTheLastVerdict) {
  v1::MapCodeRequest request =
      Over(50, "import time\nif i == 3: time.sleep(0.3)\nif i >= 3: 1 / 0");
  request.set_stop_on_failure(true);
  const MapEnd end = Map(request);
  EXPECT_TRUE(end.status.ok());
  EXPECT_THAT(Indices(end), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(end.summary.succeeded_count(), 3);
  EXPECT_EQ(end.summary.failed_count(), 1);
  EXPECT_EQ(end.summary.skipped_count(), 46);
}

TEST_F(MapTest, ByCompletionAFailureStopsWhatRuns) {
  v1::MapCodeRequest request = Over(50, "import time\nif i == 1: 1 / 0\ntime.sleep(8)");
  request.set_order(v1::MapCodeRequest::ORDER_COMPLETION);
  request.set_stop_on_failure(true);
  const MapEnd end = Map(request);
  EXPECT_TRUE(end.status.ok());
  EXPECT_THAT(Indices(end), ElementsAre(1));
  EXPECT_EQ(end.summary.skipped_count(), 49);
}

TEST_F(MapTest, LimitsHoldForEachInput) {
  v1::MapCodeRequest request = Over(3, "while i == 1: pass");
  *request.mutable_limits()->mutable_wall_time() = Milliseconds(300);
  const MapEnd end = Map(request);
  ASSERT_EQ(end.verdicts.size(), 3u);
  EXPECT_EQ(Describe(end.verdicts[0].outcome()), "SUCCEEDED");
  EXPECT_EQ(Describe(end.verdicts[1].outcome()), "WALL_TIMEOUT");
  EXPECT_EQ(Describe(end.verdicts[2].outcome()), "SUCCEEDED");
}

TEST_F(MapTest, BadRequestsNameTheInput) {
  v1::MapCodeRequest request = Over(3, "");
  (*request.mutable_inputs(2)->mutable_variables())["not a name"].set_int_value(1);
  MapEnd end = Map(request);
  EXPECT_EQ(Reason(end.status), "FIELD_INVALID");
  EXPECT_THAT(end.status.error_message(), HasSubstr("inputs[2].variables"));
  request.mutable_inputs(1)->add_arguments()->set_int_value(1);
  EXPECT_THAT(Map(request).status.error_message(), HasSubstr("inputs[1].arguments"));

  request = Over(1, "");
  (*request.mutable_inputs(0)->mutable_variables())["x"].mutable_list_value()->add_items();
  end = Map(request);
  EXPECT_THAT(end.status.error_message(), HasSubstr("inputs[0].variables"));

  EXPECT_EQ(Reason(Map(v1::MapCodeRequest()).status), "FIELD_INVALID");
  request = Over(1, "");
  request.set_template_("nowhere");
  EXPECT_EQ(Reason(Map(request).status), "TEMPLATE_UNKNOWN");
}

TEST_F(MapTest, WhoGoesAwayStopsWhatRuns) {
  v1::MapCodeRequest request = Over(1'000, "import time\nif i > 0: time.sleep(8)");
  const auto context = Context();
  auto reader = server_->executions().MapCode(context.get(), request);
  v1::MapCodeResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context->TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // Of eight that ran none is left.
  int leased = -1;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (leased != 0 && std::chrono::steady_clock::now() < give_up) {
    v1::GetInfoResponse info;
    ASSERT_TRUE(server_->info().GetInfo(Context().get(), v1::GetInfoRequest(), &info).ok());
    leased = info.templates(0).pool().leased_count();
  }
  EXPECT_EQ(leased, 0) << "executions went on";
}

TEST_F(MapTest, ALargeOneIsInNobodyElsesWay) {
  v1::MapCodeRequest request = Over(200, "import time\ntime.sleep(8)");
  request.set_concurrency(1);
  for (v1::MapInput& input : *request.mutable_inputs()) {
    v1::Items& items = *(*input.mutable_variables())["items"].mutable_list_value();
    for (int i = 0; i < 30'000; ++i) items.add_items()->set_singleton(v1::SINGLETON_NONE);
  }
  const auto context = Context();
  auto reader = server_->executions().MapCode(context.get(), request);
  // It runs once another can: the request before it was taken apart by then.
  grpc::Status status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!status.ok() && std::chrono::steady_clock::now() < give_up) {
    v1::RunCodeRequest other;
    other.mutable_program()->set_code("print(1)");
    v1::RunCodeResponse response;
    status = TryRun(other, &response);
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
  context->TryCancel();
  v1::MapCodeResponse response;
  while (reader->Read(&response)) {
  }
  (void)reader->Finish();
}

TEST_F(MapTest, ASlowReaderHoldsBackWhatFollows) {
  v1::MapCodeRequest request = Over(300, "print('x' * 400_000)");
  const auto context = Context();
  auto reader = server_->executions().MapCode(context.get(), request);
  v1::MapCodeResponse response;
  ASSERT_TRUE(reader->Read(&response));
  int verdicts = response.has_verdict() ? 1 : 0;
  while (reader->Read(&response)) verdicts += response.has_verdict() ? 1 : 0;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(verdicts, 300);
}

}  // namespace
}  // namespace cloister::testing
