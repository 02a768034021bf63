// Making further interpreters of live sandboxes: names, idempotence, bounds, errors, profiles.

#include "service/core/interpreter_manager.h"

#include <string>

#include "gmock/gmock.h"
#include "tests/unit/service_core/interpreter_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kOurChoice = v1::Interpreter::PROFILE_UNSPECIFIED;

sandbox::CreatedInterpreter Refusal(absl::Status status) {
  return {.interpreter = nullptr, .status = std::move(status), .import_failed = std::nullopt};
}

sandbox::CreatedInterpreter ImportRefusal(const std::string& module, bool is_refused_by_profile) {
  sandbox::CreatedInterpreter answer = Refusal(absl::FailedPreconditionError("import"));
  answer.import_failed.emplace();
  answer.import_failed->set_module(module);
  answer.import_failed->set_message("ImportError: \"no\"\n");
  answer.import_failed->set_is_refused_by_profile(is_refused_by_profile);
  return answer;
}

class InterpreterManagerTest : public InterpreterTest {};

// ---- creation -----------------------------------------------------------------------------------

TEST_F(InterpreterManagerTest, ItIsMadeInItsSandboxWithWhatWasAskedFor) {
  CreateSandboxRequest with_environment = NewRequest();
  with_environment.spec.environment = {{"A", "1"}, {"B", "1"}};
  with_environment.spec.limits.memory_bytes = int64_t{1} << 30;
  CreateInterpreterRequest request = NewInterpreter("two");
  request.sandbox = MakeReady(std::move(with_environment));
  request.spec.environment = {{"B", "2"}, {"C", "2"}};
  request.spec.imports = {"json"};
  request.spec.memory_bytes = 64 << 20;
  Told told;
  ASSERT_TRUE(Ask(request, &told).ok());
  EXPECT_FALSE(told->has_value());
  loop_.Run();
  ASSERT_TRUE(told->has_value() && (*told)->ok());
  const v1::Interpreter& made = (*told)->value();
  EXPECT_EQ(made.name(), request.sandbox + "/interpreters/two");
  EXPECT_EQ(made.profile(), kIsolated);
  EXPECT_EQ(made.profile_reason(), "") << "it was not our choice";
  EXPECT_EQ(made.state(), v1::Interpreter::STATE_READY);
  EXPECT_EQ(made.memory_limit_bytes(), 64 << 20);
  EXPECT_TRUE(made.has_create_time());
  const sandbox::InterpreterSpec& spec = fake(0)->spec();
  EXPECT_EQ(spec.profile, sandbox::InterpreterProfile::kIsolated);
  EXPECT_EQ(spec.memory_bytes, 64 << 20);
  EXPECT_THAT(spec.imports, ElementsAre("json"));
  using Variable = std::pair<std::string, std::string>;
  EXPECT_THAT(spec.environment,
              ElementsAre(Variable("A", "1"), Variable("B", "2"), Variable("C", "2")));
}

TEST_F(InterpreterManagerTest, ListsMainFirstThenTheOldest) {
  Make("z");
  Make("a", kProcess);
  const auto list = interpreters_.List(sandbox_).value();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name(), sandbox_ + "/interpreters/main");
  EXPECT_EQ(list[0].profile(), v1::Interpreter::PROFILE_MAIN);
  EXPECT_EQ(list[1].name(), sandbox_ + "/interpreters/z");
  EXPECT_EQ(list[2].profile(), kProcess);
  EXPECT_EQ(Get(sandbox_).name(), list[0].name()) << "a sandbox's name stands for main";
}

TEST_F(InterpreterManagerTest, NamesAreChosenWhereNoneIsAskedForAndTakenOnce) {
  const std::string chosen = Make("");
  EXPECT_EQ(chosen.size(), sandbox_.size() + std::string("/interpreters/").size() + 26);
  Told first;
  ASSERT_TRUE(Ask(NewInterpreter("two"), &first).ok());
  const absl::Status second = Ask(NewInterpreter("two")).status();
  EXPECT_EQ(ReasonOf(second), v1::ERROR_REASON_INTERPRETER_EXISTS);
  EXPECT_EQ(MetadataOf(second, "interpreter"), sandbox_ + "/interpreters/two");
  loop_.Run();
  EXPECT_TRUE((*first)->ok());
}

TEST_F(InterpreterManagerTest, TheSameRequestIdIsTheSameInterpreter) {
  CreateInterpreterRequest request = NewInterpreter("two");
  request.request_id = "id";
  request.payload_digest = "digest";
  Told first, second, third;
  ASSERT_TRUE(Ask(request, &first).ok());
  ASSERT_TRUE(Ask(request, &second).ok());
  EXPECT_EQ(guest_->pending_interpreters(), 1u);
  loop_.Run();
  EXPECT_EQ((**first)->name(), (**second)->name());
  ASSERT_TRUE(Ask(request, &third).ok());
  EXPECT_EQ((**third)->name(), (**first)->name()) << "at once";
  request.payload_digest = "other";
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_REQUEST_ID_REUSED);
  request.payload_digest = "digest";
  const std::string name = (**first)->name();
  EXPECT_THAT(Delete(name, fake(0)), IsEmpty());
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  Make("two");
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_INTERPRETER_NOT_FOUND)
      << "another one of that name is not it";
}

TEST_F(InterpreterManagerTest, ThereAreAtMostSoManyThoseThatEndAmongThem) {
  for (const char* id : {"a", "b", "c"}) Make(id);
  const absl::Status refused = Ask(NewInterpreter("d")).status();
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED);
  EXPECT_EQ(MetadataOf(refused, "maximum"), "4");
  testing::FakeInterpreter* const last = fake(2);
  ASSERT_TRUE(interpreters_.Delete(sandbox_ + "/interpreters/c", [](auto) {}).ok());
  EXPECT_EQ(ReasonOf(Ask(NewInterpreter("d")).status()),
            v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED);
  last->ending(absl::OkStatus());
  loop_.Run();
  Make("d");
}

TEST_F(InterpreterManagerTest, ACreationNobodyWaitsForAnyMoreEndsWhatIsMadeThen) {
  factory_.answer_interpreters = false;
  CreateInterpreterRequest request = NewInterpreter("two");
  request.request_id = "id";
  const auto creation = Ask(request);
  (void)Ask(request);
  interpreters_.Abandon(*creation);
  EXPECT_EQ(Get(sandbox_ + "/interpreters/two").state(), v1::Interpreter::STATE_STARTING)
      << "one still waits";
  EXPECT_THAT(guest_->abandoned_interpreters, IsEmpty());
  interpreters_.Abandon(*creation);
  EXPECT_THAT(guest_->abandoned_interpreters, ElementsAre(1)) << "the sandbox is told";
  EXPECT_EQ(ReasonOf(GetError(sandbox_ + "/interpreters/two")),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  interpreters_.Abandon(*creation);
  guest_->AnswerInterpreter();
  EXPECT_EQ(guest_->interpreters().size(), 1u) << "not from within the answer";
  loop_.Run();
  EXPECT_THAT(guest_->interpreters(), IsEmpty());
  factory_.answer_interpreters = true;
  Told again;
  ASSERT_TRUE(Ask(request, &again).ok()) << "under the same request_id";
  loop_.Run();
  EXPECT_TRUE((*again)->ok());
}

TEST_F(InterpreterManagerTest, OnlySoManyWaitForOneStart) {
  factory_.answer_interpreters = false;
  CreateInterpreterRequest request = NewInterpreter("two");
  request.request_id = "id";
  for (size_t i = 0; i < kMaximumWaiters; ++i) ASSERT_TRUE(Ask(request).ok());
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(ReasonOf(interpreters_.Restart(sandbox_ + "/interpreters/two", absl::InfiniteFuture(),
                                           [](auto) {})),
            v1::ERROR_REASON_OVERLOADED);
}

TEST_F(InterpreterManagerTest, OneThatIsReadyIsNotAbandoned) {
  const auto creation = Ask(NewInterpreter("two"));
  loop_.Run();
  interpreters_.Abandon(*creation);
  EXPECT_EQ(Get(sandbox_ + "/interpreters/two").state(), v1::Interpreter::STATE_READY);
}

TEST_F(InterpreterManagerTest, TheDeadlineEndsACreation) {
  factory_.answer_interpreters = false;
  CreateInterpreterRequest request = NewInterpreter("two");
  request.deadline = loop_.Now();
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_NOT_STARTED);
  request.deadline = loop_.Now() + absl::Seconds(1);
  Told told;
  ASSERT_TRUE(Ask(request, &told).ok());
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(ReasonOf((*told)->status()), v1::ERROR_REASON_NOT_STARTED);
  guest_->AnswerInterpreter();
  loop_.Run();
  EXPECT_THAT(guest_->interpreters(), IsEmpty());
}

TEST_F(InterpreterManagerTest, WhatCannotBeMadeIsRefusedWithItsReason) {
  absl::Status error = Refused(NewInterpreter("two"), ImportRefusal("numpy", true));
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_IMPORT_FAILED);
  EXPECT_EQ(MetadataOf(error, "module"), "numpy");
  EXPECT_EQ(MetadataOf(error, "profile"), "ISOLATED");
  EXPECT_THAT(std::string(error.message()), HasSubstr("SHARED_GIL or PROCESS"));
  EXPECT_THAT(std::string(error.message()), HasSubstr("ImportError: \"no\";")) << "on one line";
  error = Refused(NewInterpreter("two"), Refusal(absl::UnimplementedError("none")));
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_PROFILE_UNSUPPORTED);
  EXPECT_EQ(MetadataOf(error, "profile"), "ISOLATED");
  error = Refused(NewInterpreter("two"), Refusal(absl::ResourceExhaustedError("no room")));
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_THAT(std::string(error.message()), HasSubstr("does not fit"));
  error = Refused(NewInterpreter("two"), Refusal(absl::InternalError("/secret/path")));
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_THAT(std::string(error.message()), Not(HasSubstr("/secret/path")));
  EXPECT_EQ(interpreters_.List(sandbox_)->size(), 1u);
}

TEST_F(InterpreterManagerTest, MoreMemoryThanTheSandboxHasIsAnError) {
  CreateInterpreterRequest request = NewInterpreter("two");
  request.spec.memory_bytes = sandbox::Limits().memory_bytes + 1;
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_FIELD_INVALID);
}

// ---- profiles -----------------------------------------------------------------------------------

TEST_F(InterpreterManagerTest, OurChoiceIsIsolatedWhereEverythingLoads) {
  Told told;
  CreateInterpreterRequest request = NewInterpreter("two", kOurChoice);
  request.spec.imports = {"json"};
  ASSERT_TRUE(Ask(request, &told).ok());
  loop_.Run();
  EXPECT_EQ((**told)->profile(), kIsolated);
  EXPECT_THAT((**told)->profile_reason(), HasSubstr("ISOLATED"));
}

TEST_F(InterpreterManagerTest, OurChoiceIsAProcessWhereAnImportRefusesIsolation) {
  factory_.answer_interpreters = false;
  Told told;
  CreateInterpreterRequest request = NewInterpreter("two", kOurChoice);
  request.spec.imports = {"json", "numpy"};
  ASSERT_TRUE(Ask(request, &told).ok());
  guest_->AnswerInterpreter(ImportRefusal("numpy", true));
  ASSERT_EQ(guest_->pending_interpreters(), 1u);
  guest_->AnswerInterpreter();
  loop_.Run();
  EXPECT_EQ((**told)->profile(), kProcess);
  EXPECT_THAT((**told)->profile_reason(), HasSubstr("numpy"));
  EXPECT_EQ(fake(0)->spec().profile, sandbox::InterpreterProfile::kProcess);
}

TEST_F(InterpreterManagerTest, OurChoiceDoesNotHideAnImportThatFailsEverywhere) {
  CreateInterpreterRequest request = NewInterpreter("two", kOurChoice);
  request.spec.imports = {"nope"};
  EXPECT_EQ(ReasonOf(Refused(request, ImportRefusal("nope", false))),
            v1::ERROR_REASON_IMPORT_FAILED);
  EXPECT_EQ(guest_->pending_interpreters(), 0u);
}

TEST_F(InterpreterManagerTest, BeforePython314OnlyProcessesAreOffered) {
  source_.python_version = "3.13.5";
  for (const auto profile : {kIsolated, kSharedGil}) {
    const absl::Status refused = Ask(NewInterpreter("two", profile)).status();
    EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_PROFILE_UNSUPPORTED);
    EXPECT_EQ(MetadataOf(refused, "pythonVersion"), "3.13.5");
  }
  Told told;
  ASSERT_TRUE(Ask(NewInterpreter("two", kOurChoice), &told).ok());
  loop_.Run();
  EXPECT_EQ((**told)->profile(), kProcess);
  EXPECT_THAT((**told)->profile_reason(), HasSubstr("3.13.5"));
  Make("three", kProcess);
}

TEST_F(InterpreterManagerTest, UnknownNamesAreNotFound) {
  EXPECT_EQ(ReasonOf(GetError(sandbox_ + "/interpreters/two")),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_EQ(ReasonOf(GetError(sandbox_ + "/interpreters/")),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_EQ(ReasonOf(GetError("sandboxes/nobody/interpreters/main")),
            v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  EXPECT_EQ(ReasonOf(interpreters_.List("sandboxes/nobody").status()),
            v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  CreateInterpreterRequest request = NewInterpreter("two");
  request.sandbox = "sandboxes/nobody";
  EXPECT_EQ(ReasonOf(Ask(request).status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

}  // namespace
}  // namespace cloister::core
