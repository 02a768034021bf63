// What tests of further interpreters share: a sandbox that is ready, and ways to make, find and delete
// interpreters in it.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_CORE_INTERPRETER_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SERVICE_CORE_INTERPRETER_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "service/core/interpreter_manager.h"
#include "tests/unit/service_core/live_fixture.h"

namespace cloister::core {

inline constexpr auto kIsolated = v1::Interpreter::PROFILE_ISOLATED;
inline constexpr auto kSharedGil = v1::Interpreter::PROFILE_SHARED_GIL;
inline constexpr auto kProcess = v1::Interpreter::PROFILE_PROCESS;

class InterpreterTest : public LiveTest {
 protected:
  using Told = std::shared_ptr<std::optional<absl::StatusOr<v1::Interpreter>>>;

  CreateInterpreterRequest NewInterpreter(const std::string& id,
                                          v1::Interpreter::Profile profile = kIsolated) const {
    CreateInterpreterRequest request;
    request.sandbox = sandbox_;
    request.spec.id = id;
    request.spec.profile = profile;
    return request;
  }

  absl::StatusOr<InterpreterManager::Creation> Ask(CreateInterpreterRequest request,
                                                   Told* told = nullptr) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<v1::Interpreter>>>();
    if (told != nullptr) *told = answer;
    return interpreters_.Create(std::move(request),
                                [answer](absl::StatusOr<v1::Interpreter> made) { *answer = made; });
  }

  // One that is ready; its name.
  std::string Make(const std::string& id, v1::Interpreter::Profile profile = kIsolated) {
    Told told;
    const auto creation = Ask(NewInterpreter(id, profile), &told);
    EXPECT_TRUE(creation.ok()) << creation.status();
    loop_.Run();
    EXPECT_TRUE(told->has_value() && (*told)->ok());
    return (**told)->name();
  }

  // An error of Create that comes after the sandbox was asked.
  absl::Status Refused(CreateInterpreterRequest request, sandbox::CreatedInterpreter answer) {
    factory_.answer_interpreters = false;
    Told told;
    const auto creation = Ask(std::move(request), &told);
    EXPECT_TRUE(creation.ok()) << creation.status();
    guest_->AnswerInterpreter(std::move(answer));
    loop_.Run();
    return (*told)->status();
  }

  v1::Interpreter Get(const std::string& name) {
    return interpreters_.Get(name).value_or(v1::Interpreter());
  }
  absl::Status GetError(const std::string& name) { return interpreters_.Get(name).status(); }

  // Deletes it; what the sandbox says of its end.
  std::vector<std::string> Delete(const std::string& name, testing::FakeInterpreter* fake,
                                  const absl::Status& how = absl::OkStatus()) {
    std::vector<std::string> lost = {"not told"};
    EXPECT_TRUE(interpreters_.Delete(name, [&](auto names) { lost = names; }).ok());
    EXPECT_THAT(lost, ::testing::ElementsAre("not told")) << "it has not ended yet";
    EXPECT_NE(fake->ending, nullptr);
    fake->ending(how);
    loop_.Run();
    return lost;
  }

  testing::FakeInterpreter* fake(size_t i) { return guest_->interpreters().at(i); }

  const std::string sandbox_ = MakeReady();
};

}  // namespace cloister::core

#endif  // CLOISTER_TESTS_UNIT_SERVICE_CORE_INTERPRETER_FIXTURE_H_
