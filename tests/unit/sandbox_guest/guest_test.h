// What the tests of this directory share: one warmed interpreter per test program.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_TEST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>

#include "tests/unit/sandbox_guest/guest_harness.h"

namespace cloister::sandbox {

class GuestTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    harness_ = std::make_unique<GuestHarness>();
    ASSERT_TRUE(harness_->start().has_ready()) << harness_->start().DebugString();
  }
  static void TearDownTestSuite() { harness_.reset(); }

  GuestRun Run(const std::string& code) { return harness_->Run(code); }
  GuestRun Run(const v1::Program& program) { return harness_->Run(program); }

  static inline std::unique_ptr<GuestHarness> harness_;
};

// The program ran to its end.
inline void ExpectSucceeded(const GuestRun& run) {
  ASSERT_TRUE(run.finished.has_value()) << run.error;
  EXPECT_EQ(run.finished->kind(), internal::v1::Finished::KIND_SUCCEEDED)
      << run.finished->exception().traceback();
}

// An exception of this type reached the top; returns it.
inline v1::Exception ExpectRaised(const GuestRun& run, const std::string& type) {
  EXPECT_TRUE(run.finished.has_value()) << run.error;
  if (!run.finished.has_value()) return {};
  EXPECT_EQ(run.finished->kind(), internal::v1::Finished::KIND_RAISED);
  EXPECT_EQ(run.finished->exception().type(), type) << run.finished->exception().traceback();
  return run.finished->exception();
}

inline void ExpectExited(const GuestRun& run, int code) {
  ASSERT_TRUE(run.finished.has_value()) << run.error;
  EXPECT_EQ(run.finished->kind(), internal::v1::Finished::KIND_EXITED)
      << run.finished->exception().traceback();
  EXPECT_EQ(run.finished->exit_code(), code);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_TEST_H_
