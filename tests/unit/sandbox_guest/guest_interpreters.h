// A process of further interpreters as its host sees it, without walls.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_INTERPRETERS_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_INTERPRETERS_H_

#include <memory>
#include <string>
#include <vector>

#include "cloister/internal/v1/guest.pb.h"
#include "tests/unit/sandbox_guest/guest_harness.h"
#include "tests/unit/sandbox_guest/session_client.h"

namespace cloister::sandbox {

class GuestInterpreters;

// One of them. Not ended when it is destroyed.
class GuestInterpreter : public SessionClient {
 public:
  GuestInterpreter(GuestInterpreters* process, int64_t number, GuestHarness::CloneEnds ends)
      : SessionClient(std::move(ends)), process_(*process), number_(number) {}

  int64_t number() const { return number_; }

  // What it said when it was made.
  internal::v1::GuestFrame opened;

  void Interrupt();

  // Runs a cell and interrupts it every 20 ms once it has written something; gives up, and adds
  // nothing, after so long.
  SessionAnswer ExecuteAndInterrupt(const std::string& code, int patience_milliseconds = 5000);

  internal::v1::InterpreterEnded End();

 private:
  GuestInterpreters& process_;
  const int64_t number_;
};

// Fails the current test on what goes wrong with itself. Ends its clone when it is destroyed.
class GuestInterpreters {
 public:
  explicit GuestInterpreters(GuestHarness* harness);
  GuestInterpreters(const GuestInterpreters&) = delete;
  GuestInterpreters& operator=(const GuestInterpreters&) = delete;
  ~GuestInterpreters();

  // The answer to serve_interpreters.
  const internal::v1::GuestFrame& first_answer() const { return first_answer_; }

  internal::v1::CreateInterpreter Request(
      internal::v1::GilProfile profile = internal::v1::GIL_PROFILE_ISOLATED);
  // Fails the test where it does not open, unless the request has imports.
  std::unique_ptr<GuestInterpreter> Create(const internal::v1::CreateInterpreter& request);
  std::unique_ptr<GuestInterpreter> Create() { return Create(Request()); }

  // Asks on the process's channel. An empty frame where no answer comes in time.
  internal::v1::GuestFrame Ask(const internal::v1::HostFrame& frame,
                               std::vector<int> descriptors = {},
                               int patience_milliseconds = 20'000);

  pid_t pid() const;

  // What C code wrote.
  std::string TakeOutput();

 private:
  GuestHarness& harness_;
  GuestHarness::CloneEnds ends_;
  internal::v1::GuestFrame first_answer_;
  int64_t last_number_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_GUEST_INTERPRETERS_H_
