#include "sandbox/host/notebook_exchange.h"

#include <signal.h>

#include <utility>
#include <variant>

#include "sandbox/base/status_macros.h"
#include "sandbox/host/notebook_frame.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using Answer = std::optional<absl::StatusOr<NotebookAnswer>>;

// Without the interpreter's name, which is none of the guest's business.
HostFrame FrameOf(const NotebookQuestion& question) {
  HostFrame frame;
  if (const auto* complete = std::get_if<v1::CompleteRequest>(&question)) {
    *frame.mutable_complete() = *complete;
    frame.mutable_complete()->clear_interpreter();
  } else if (const auto* inspect = std::get_if<v1::InspectRequest>(&question)) {
    *frame.mutable_inspect() = *inspect;
    frame.mutable_inspect()->clear_interpreter();
  } else {
    *frame.mutable_check_complete() = std::get<v1::CheckCompleteRequest>(question);
    frame.mutable_check_complete()->clear_interpreter();
  }
  return frame;
}

absl::Status OtherAnswer() { return absl::DataLossError("the answer to another question"); }

}  // namespace

NotebookExchange::NotebookExchange(SandboxParts* parts, NotebookQuestion question,
                                   NotebookCallback done, std::function<void()> wedged)
    : parts_(parts),
      question_(std::move(question)),
      done_(std::move(done)),
      wedged_(std::move(wedged)) {}

NotebookExchange::~NotebookExchange() { parts_->loop->Cancel(timer_); }

void NotebookExchange::Start() {
  absl::StatusOr<std::string> frame = EncodeFrame(FrameOf(question_), kMaxHostFrameBytes);
  timer_ = parts_->loop->CallAfter(kPatience, [this] { OnTimer(); });
  // An error shows as the channel's end; a question that is too long as silence, and no client's
  // request is.
  if (frame.ok()) parts_->channel.Send(*std::move(frame), [](const absl::Status&) {});
}

void NotebookExchange::OnTimer() {
  const absl::Time now = parts_->loop->Now();
  if (!ladder_.asked()) ladder_.Ask(HostStop::kInterruptGrace, kGrace, now);
  if (ladder_.IsOver(now)) {
    const auto wedged = std::move(wedged_);
    return wedged();  // destroys this
  }
  if (ladder_.TakeSignal(now)) parts_->SendSignal(SIGINT);
  timer_ = parts_->loop->CallAfter(ladder_.next_step() - now, [this] { OnTimer(); });
}

absl::StatusOr<Answer> NotebookExchange::Read(GuestFrame frame) const {
  switch (frame.frame_case()) {
    case GuestFrame::kCompleted: {
      const auto* asked = std::get_if<v1::CompleteRequest>(&question_);
      if (asked == nullptr) return OtherAnswer();
      CLOISTER_RETURN_IF_ERROR(CheckCompleted(frame.completed(), *asked));
      return Answer(std::move(*frame.mutable_completed()));
    }
    case GuestFrame::kInspected:
      if (!std::holds_alternative<v1::InspectRequest>(question_)) return OtherAnswer();
      CLOISTER_RETURN_IF_ERROR(CheckInspected(frame.inspected()));
      return Answer(std::move(*frame.mutable_inspected()));
    case GuestFrame::kChecked:
      if (!std::holds_alternative<v1::CheckCompleteRequest>(question_)) return OtherAnswer();
      CLOISTER_RETURN_IF_ERROR(CheckChecked(frame.checked()));
      return Answer(std::move(*frame.mutable_checked()));
    case GuestFrame::kRequestFailed:
      CLOISTER_RETURN_IF_ERROR(CheckRequestFailed(frame.request_failed()));
      if (ladder_.asked()) return Answer(absl::DeadlineExceededError("it was interrupted after 2 s"));
      return Answer(absl::UnknownError(frame.request_failed().message()));
    default:
      return Answer();
  }
}

}  // namespace cloister::sandbox
