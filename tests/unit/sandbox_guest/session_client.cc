#include "tests/unit/sandbox_guest/session_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::ExecuteCell;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;

constexpr int kPatienceMilliseconds = 30'000;

// What can be read now; false at the end of the stream.
bool Drain(int fd, std::string* bytes) {
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN;
    bytes->append(buffer, static_cast<size_t>(count));
  }
}

void SetBlocking(int fd, bool blocking) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

bool IsUnasked(const GuestFrame& frame) {
  return frame.has_display() || frame.has_clear_output() || frame.has_input_request() ||
         frame.has_late_output() || frame.has_open_mailbox();
}

}  // namespace

SessionClient::SessionClient(GuestHarness::CloneEnds ends) : ends_(std::move(ends)) {
  for (int fd : {ends_.channel.get(), ends_.output.get(), ends_.error.get()}) {
    SetBlocking(fd, false);
  }
}

void SessionClient::SendCell(ExecuteCell cell) {
  cell.set_number(++cell_);
  if (!cell.options().skip_history() && !cell.options().silent()) {
    cell.set_execution_count(++count_);
  }
  HostFrame frame;
  *frame.mutable_execute_cell() = std::move(cell);
  Send(frame);
}

SessionAnswer SessionClient::Execute(ExecuteCell cell) {
  SendCell(std::move(cell));
  SessionAnswer answer = AwaitFirst();
  EXPECT_TRUE(answer.frame.has_finished()) << answer.frame.ShortDebugString() << answer.error;
  EXPECT_EQ(answer.finished().cell(), cell_);
  return answer;
}

SessionAnswer SessionClient::Execute(const std::string& code) {
  ExecuteCell cell;
  cell.mutable_program()->set_code(code);
  cell.mutable_program()->set_return_value(true);
  return Execute(cell);
}

SessionAnswer SessionClient::ExecuteForBundle(const std::string& code) {
  ExecuteCell cell;
  cell.mutable_program()->set_code(code);
  cell.mutable_options()->set_return_bundle(true);
  return Execute(cell);
}

void SessionClient::Send(const HostFrame& frame) {
  SetBlocking(ends_.channel.get(), true);
  EXPECT_TRUE(WriteFrame(ends_.channel.get(), frame, kMaxHostFrameBytes).ok());
  SetBlocking(ends_.channel.get(), false);
}

void SessionClient::SendInput(const std::string& text, int64_t request) {
  HostFrame frame;
  frame.mutable_send_input()->set_cell(cell_);
  frame.mutable_send_input()->set_text(text);
  frame.mutable_send_input()->set_request(request);
  Send(frame);
}

SessionAnswer SessionClient::Ask(const HostFrame& frame) {
  Send(frame);
  return AwaitFirst();
}

SessionAnswer SessionClient::AwaitFirst() {
  return Await([](const SessionAnswer& seen) {
    return seen.frame.frame_case() != GuestFrame::FRAME_NOT_SET;
  });
}

SessionAnswer SessionClient::Await(const std::function<bool(const SessionAnswer&)>& enough) {
  SessionAnswer seen;
  Watch(&seen, enough);
  // All that was written before the answer is in the pipes.
  Drain(ends_.output.get(), &seen.output);
  Drain(ends_.error.get(), &seen.error);
  return seen;
}

void SessionClient::Watch(SessionAnswer* seen,
                          const std::function<bool(const SessionAnswer&)>& enough) {
  while (!enough(*seen)) {
    if (!unread_.empty()) {
      ReadFrames(seen);
      continue;
    }
    pollfd polled[] = {{ends_.channel.get(), POLLIN, 0},
                       {ends_.output.get(), POLLIN, 0},
                       {ends_.error.get(), POLLIN, 0}};
    if (poll(polled, 3, kPatienceMilliseconds) <= 0) {
      ADD_FAILURE() << "nothing came; stdout: " << seen->output << "\nstderr: " << seen->error;
      return;
    }
    if (polled[1].revents != 0) {
      const bool is_open = Drain(ends_.output.get(), &seen->output);
      if (on_output && !seen->output.empty()) std::exchange(on_output, nullptr)(seen->output);
      if (polled[0].revents != 0) DrainChannel();
      if (!is_open && unread_.empty()) return;  // the clone is gone
    }
    if (polled[2].revents != 0) Drain(ends_.error.get(), &seen->error);
    if (polled[0].revents != 0) DrainChannel();
  }
}

// What can be read now, with the descriptors beside it.
void SessionClient::DrainChannel() {
  char buffer[1 << 16];
  for (;;) {
    iovec data = {buffer, sizeof(buffer)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors)];
    msghdr header = {};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    const ssize_t count = recvmsg(ends_.channel.get(), &header, MSG_CMSG_CLOEXEC);
    if (count <= 0) return;
    for (UniqueFd& descriptor : TakeDescriptors(&header)) {
      descriptors_.push_back(std::move(descriptor));
    }
    unread_.append(buffer, static_cast<size_t>(count));
  }
}

// Up to an answer: what came behind it belongs to whoever waits next.
void SessionClient::ReadFrames(SessionAnswer* seen) {
  std::string_view rest = unread_;
  bool is_answered = false;
  while (!rest.empty() && !is_answered) {
    if (!decoder_.Consume(&rest).ok()) {
      ADD_FAILURE() << "not a frame";
      rest = {};
      break;
    }
    const auto message = decoder_.TakeMessage();
    if (!message) continue;
    GuestFrame frame;
    EXPECT_TRUE(frame.ParseFromString(*message)) << "not a valid frame";
    is_answered = !IsUnasked(frame);
    if (is_answered) {
      EXPECT_EQ(seen->frame.frame_case(), GuestFrame::FRAME_NOT_SET) << "a second answer";
      seen->frame = frame;
      continue;
    }
    if (frame.has_open_mailbox()) {
      ASSERT_EQ(descriptors_.size(), 1U) << "the line comes with the frame";
      if (on_mailbox) on_mailbox(std::move(descriptors_.front()));
      descriptors_.clear();
    }
    seen->unasked.push_back(frame);
    if (on_frame) on_frame(frame);
  }
  unread_ = std::string(rest);
}

}  // namespace cloister::sandbox
