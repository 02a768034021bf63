// What the tests of values, displays and figures share.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_DISPLAY_TEST_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_DISPLAY_TEST_H_

#include <string>
#include <vector>

#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {

class DisplayTest : public SessionTest {
 protected:
  v1::MimeBundle BundleOf(const std::string& code) {
    answer_ = session().ExecuteForBundle(code);
    EXPECT_EQ(answer_.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer_.finished().exception().traceback();
    return answer_.finished().value().bundle();
  }

  // The displays of a cell.
  std::vector<v1::DisplayData> DisplaysOf(const std::string& code) {
    answer_ = Execute(code);
    EXPECT_EQ(answer_.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer_.finished().exception().traceback();
    std::vector<v1::DisplayData> displays;
    for (const internal::v1::GuestFrame& frame : answer_.unasked) {
      if (!frame.has_display()) continue;
      EXPECT_EQ(frame.display().cell(), session().last_cell());
      displays.push_back(frame.display().data());
    }
    return displays;
  }

  SessionAnswer answer_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_DISPLAY_TEST_H_
