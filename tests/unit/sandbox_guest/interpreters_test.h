// What the tests of further interpreters share: a process of them per test.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_INTERPRETERS_TEST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_INTERPRETERS_TEST_H_

#include <optional>
#include <string>

#include "tests/unit/sandbox_guest/guest_interpreters.h"
#include "tests/unit/sandbox_guest/guest_session.h"
#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {

class FurtherInterpreterTest : public GuestTest {
 protected:
  void SetUp() override {
    if (process().first_answer().has_session_opened()) return;
    EXPECT_THAT(process().first_answer().setup_failed().message(),
                testing::HasSubstr("CPython 3.13"));
    GTEST_SKIP() << "not offered with this CPython";
  }

  GuestInterpreters& process() {
    if (!process_.has_value()) process_.emplace(harness_.get());
    return *process_;
  }

  // There is one clone at a time.
  void EndProcess() { process_.reset(); }

  // The text of a cell's value; "" where it has none.
  static std::string ValueOf(SessionClient& interpreter, const std::string& code) {
    const SessionAnswer answer = interpreter.Execute(code);
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
    return answer.finished().value().text();
  }

 private:
  std::optional<GuestInterpreters> process_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_INTERPRETERS_TEST_H_
