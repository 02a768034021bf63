// A live interpreter as its host sees it, without walls: cells, and all frames that come of them.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_CLIENT_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_CLIENT_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/wire/frame.h"
#include "tests/unit/sandbox_guest/guest_harness.h"

namespace cloister::sandbox {

// What was seen while one frame was answered.
struct SessionAnswer {
  internal::v1::GuestFrame frame;                 // the answer
  std::vector<internal::v1::GuestFrame> unasked;  // what came before it
  std::string output;
  std::string error;

  const internal::v1::Finished& finished() const { return frame.finished(); }
};

// Fails the current test on what goes wrong with itself.
class SessionClient {
 public:
  explicit SessionClient(GuestHarness::CloneEnds ends);
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // Runs the next cell, which leaves history unless its options say otherwise.
  SessionAnswer Execute(internal::v1::ExecuteCell cell);
  SessionAnswer Execute(const std::string& code);
  // With the value as a bundle.
  SessionAnswer ExecuteForBundle(const std::string& code);

  // Sends it without waiting.
  void SendCell(internal::v1::ExecuteCell cell);

  SessionAnswer Ask(const internal::v1::HostFrame& frame);

  // Sends without waiting.
  void Send(const internal::v1::HostFrame& frame);
  void SendInput(const std::string& text, int64_t request = 0);

  // Called with each frame that is no answer, and with output as it comes.
  std::function<void(const internal::v1::GuestFrame&)> on_frame;
  std::function<void(const std::string& output)> on_output;

  // Called when the session opens its mailbox, with what the line is to be sent through.
  std::function<void(UniqueFd door)> on_mailbox;

  // What comes between cells, until `enough` says so.
  SessionAnswer Await(const std::function<bool(const SessionAnswer&)>& enough);

  int64_t last_cell() const { return cell_; }

  // What the session says first, without having been asked.
  SessionAnswer AwaitFirst();

 protected:
  GuestHarness::CloneEnds ends_;

 private:
  void Watch(SessionAnswer* seen, const std::function<bool(const SessionAnswer&)>& enough);
  void ReadFrames(SessionAnswer* seen);
  void DrainChannel();

  std::string unread_;  // of the channel
  std::vector<UniqueFd> descriptors_;
  FrameDecoder decoder_{kMaxGuestFrameBytes};
  int64_t cell_ = 0;
  int64_t count_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_GUEST_SESSION_CLIENT_H_
