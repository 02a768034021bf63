// What the tests of sessions share: a warmed interpreter per test program, a session per test.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_TEST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_TEST_H_

#include <optional>
#include <string>

#include "tests/unit/sandbox_guest/guest_session.h"
#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {

class SessionTest : public GuestTest {
 protected:
  GuestSession& session() {
    if (!session_.has_value()) session_.emplace(harness_.get());
    return *session_;
  }

  SessionAnswer Execute(const std::string& code) { return session().Execute(code); }

  // The text of a cell's value; "" where it has none.
  std::string ValueOf(const std::string& code) {
    const SessionAnswer answer = Execute(code);
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
    return answer.finished().value().text();
  }

  static v1::Exception Raised(const SessionAnswer& answer, const std::string& type) {
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_RAISED);
    EXPECT_EQ(answer.finished().exception().type(), type)
        << answer.finished().exception().traceback();
    return answer.finished().exception();
  }

 private:
  std::optional<GuestSession> session_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_TEST_H_
