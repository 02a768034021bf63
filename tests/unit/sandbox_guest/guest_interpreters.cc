#include "tests/unit/sandbox_guest/guest_interpreters.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <utility>

#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool IsReadable(int fd, int patience_milliseconds) {
  pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, patience_milliseconds) > 0;
}

}  // namespace

void GuestInterpreter::Interrupt() {
  HostFrame frame;
  frame.mutable_interrupt_interpreter()->set_interpreter(number_);
  EXPECT_EQ(process_.Ask(frame).interpreter_interrupted().interpreter(), number_);
}

SessionAnswer GuestInterpreter::ExecuteAndInterrupt(const std::string& code,
                                                    int patience_milliseconds) {
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("print('on', flush=True)\n" + code);
  SendCell(std::move(cell));
  EXPECT_TRUE(IsReadable(ends_.output.get(), 10'000));
  const auto end = steady_clock::now() + milliseconds(patience_milliseconds);
  while (!IsReadable(ends_.channel.get(), 20) && steady_clock::now() < end) Interrupt();
  return IsReadable(ends_.channel.get(), 0) ? AwaitFirst() : SessionAnswer();
}

internal::v1::InterpreterEnded GuestInterpreter::End() {
  HostFrame frame;
  frame.mutable_end_interpreter()->set_interpreter(number_);
  const GuestFrame answer = process_.Ask(frame);
  EXPECT_TRUE(answer.has_interpreter_ended()) << answer.ShortDebugString();
  EXPECT_EQ(answer.interpreter_ended().interpreter(), number_);
  return answer.interpreter_ended();
}

GuestInterpreters::GuestInterpreters(GuestHarness* harness)
    : harness_(*harness), ends_(harness->StartClone()) {
  GuestFrame ready;
  EXPECT_TRUE(ReadFrame(ends_.channel.get(), &ready, kMaxGuestFrameBytes).ok());
  HostFrame frame;
  frame.mutable_serve_interpreters()->mutable_limits();
  first_answer_ = Ask(frame);
}

GuestInterpreters::~GuestInterpreters() {
  ends_.channel.reset();
  GuestRun run;
  harness_.AwaitExit(&run);
}

internal::v1::CreateInterpreter GuestInterpreters::Request(internal::v1::GilProfile profile) {
  internal::v1::CreateInterpreter request;
  request.set_interpreter(++last_number_);
  request.set_profile(profile);
  return request;
}

std::unique_ptr<GuestInterpreter> GuestInterpreters::Create(
    const internal::v1::CreateInterpreter& request) {
  int channel[2], output[2], error[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0 ||
      pipe2(output, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "cannot make descriptors";
    return nullptr;
  }
  HostFrame frame;
  *frame.mutable_create_interpreter() = request;
  GuestFrame created;
  {
    const UniqueFd theirs[] = {UniqueFd(channel[1]), UniqueFd(output[1]), UniqueFd(error[1])};
    created = Ask(frame, {channel[1], output[1], error[1]});
  }
  auto interpreter = std::make_unique<GuestInterpreter>(
      this, request.interpreter(),
      GuestHarness::CloneEnds{UniqueFd(channel[0]), UniqueFd(output[0]), UniqueFd(error[0])});
  if (!created.has_interpreter_created()) {
    interpreter->opened = created;
    return interpreter;
  }
  EXPECT_EQ(created.interpreter_created().interpreter(), request.interpreter());
  EXPECT_GT(created.interpreter_created().thread_id(), 0);
  const SessionAnswer first = interpreter->AwaitFirst();
  interpreter->opened = first.frame;
  EXPECT_TRUE(first.frame.has_session_opened() || !request.imports().empty())
      << first.frame.ShortDebugString() << first.error;
  return interpreter;
}

GuestFrame GuestInterpreters::Ask(const HostFrame& frame, std::vector<int> descriptors,
                                  int patience_milliseconds) {
  // Threads that ask at once would take each other's answers.
  static std::mutex asking;
  const std::lock_guard<std::mutex> lock(asking);
  EXPECT_TRUE(WriteFrame(ends_.channel.get(), frame, kMaxHostFrameBytes, descriptors).ok());
  GuestFrame answer;
  if (IsReadable(ends_.channel.get(), patience_milliseconds)) {
    const absl::Status read = ReadFrame(ends_.channel.get(), &answer, kMaxGuestFrameBytes);
    EXPECT_TRUE(read.ok()) << read << TakeOutput();
  }
  return answer;
}

pid_t GuestInterpreters::pid() const { return harness_.ClonePid(); }

std::string GuestInterpreters::TakeOutput() {
  std::string bytes;
  char buffer[1 << 12];
  for (int fd : {ends_.output.get(), ends_.error.get()}) {
    while (IsReadable(fd, 0)) {
      const ssize_t count = read(fd, buffer, sizeof(buffer));
      if (count <= 0) break;
      bytes.append(buffer, static_cast<size_t>(count));
    }
  }
  return bytes;
}

}  // namespace cloister::sandbox
