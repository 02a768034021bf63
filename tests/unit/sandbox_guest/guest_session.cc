#include "tests/unit/sandbox_guest/guest_session.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace cloister::sandbox {
namespace {

void ReadAll(int fd, std::string* bytes) {
  char buffer[1 << 12];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count == 0 || (count < 0 && errno != EINTR)) return;
    if (count > 0) bytes->append(buffer, static_cast<size_t>(count));
  }
}

// Behind its first frame.
GuestHarness::CloneEnds StartReadyClone(GuestHarness* harness) {
  GuestHarness::CloneEnds ends = harness->StartClone();
  internal::v1::GuestFrame ready;
  EXPECT_TRUE(ReadFrame(ends.channel.get(), &ready, kMaxGuestFrameBytes).ok());
  return ends;
}

}  // namespace

GuestSession::GuestSession(GuestHarness* harness, const internal::v1::OpenSession& request)
    : SessionClient(StartReadyClone(harness)), harness_(*harness) {
  internal::v1::HostFrame frame;
  *frame.mutable_open_session() = request;
  opened_ = Ask(frame).frame;
  EXPECT_TRUE(opened_.has_session_opened() || !request.imports().empty());
}

GuestSession::~GuestSession() {
  if (!is_closed_) Close();
}

void GuestSession::Interrupt() { kill(harness_.ClonePid(), SIGINT); }

GuestRun GuestSession::Close() {
  is_closed_ = true;
  GuestRun run;
  ends_.channel.reset();
  harness_.AwaitExit(&run);
  ReadAll(ends_.output.get(), &run.output);
  ReadAll(ends_.error.get(), &run.error);
  return run;
}

}  // namespace cloister::sandbox
