// What the tests of messages share: a session and the host's end of its mailbox.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MESSAGES_TEST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MESSAGES_TEST_H_

#include <optional>
#include <string>

#include "sandbox/clone/value.h"
#include "tests/unit/sandbox_guest/mailbox_host.h"
#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {

class MessageTest : public SessionTest {
 protected:
  MailboxHost& host() {
    if (!host_.has_value()) host_.emplace(&session());
    return *host_;
  }

  // Runs a cell, and expects it to print this.
  void ExpectPrints(const std::string& code, const std::string& output) {
    host();
    const SessionAnswer answer = Execute(code);
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
    EXPECT_EQ(answer.output, output) << answer.error;
  }

  // Of a clone that a guest sent.
  static v1::Value ValueOfClone(const std::string& clone) {
    absl::StatusOr<v1::Value> value = ValueFromClone(clone, kResultCloneLimits);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(v1::Value());
  }

 private:
  std::optional<MailboxHost> host_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_MESSAGES_TEST_H_
