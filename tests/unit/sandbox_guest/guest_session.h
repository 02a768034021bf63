// A live interpreter in a clone of its own, as its host sees it, without walls.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_SESSION_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_SESSION_H_

#include "cloister/internal/v1/guest.pb.h"
#include "tests/unit/sandbox_guest/guest_harness.h"
#include "tests/unit/sandbox_guest/session_client.h"

namespace cloister::sandbox {

// Ends its clone when it is destroyed.
class GuestSession : public SessionClient {
 public:
  explicit GuestSession(GuestHarness* harness, const internal::v1::OpenSession& request = {});
  ~GuestSession();

  // The answer to open_session.
  const internal::v1::GuestFrame& opened() const { return opened_; }

  void Interrupt();

  // The end of the clone: closes the channel and waits.
  GuestRun Close();

 private:
  GuestHarness& harness_;
  internal::v1::GuestFrame opened_;
  bool is_closed_ = false;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_SESSION_H_
