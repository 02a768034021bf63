#include "sandbox/host/host_files.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/host/file_reply.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using internal::v1::HostFrame;

// What a request may take of the sandbox's memory, where it makes files larger or more: the pages
// of the file, and the process's own copy of them. What other requests take is in the reserve.
int64_t NeededBytes(const FileRequest& request) {
  constexpr int64_t kEntryBytes = int64_t{64} << 10;
  if (request.has_write_part()) {
    return 2 * static_cast<int64_t>(request.write_part().data().size()) + kEntryBytes;
  }
  return request.has_open_to_write() || request.has_make_directory() ? kEntryBytes : 0;
}

absl::Status LostError(std::string_view why) {
  return absl::UnavailableError(absl::StrCat("the process of the sandbox's files was lost: ",
                                             absl::string_view(why.data(), why.size())));
}

}  // namespace

HostFiles::~HostFiles() { CancelTimer(); }

void HostFiles::Ask(FileRequest request, Sandbox::FileCallback done) {
  questions_.push_back({std::move(request), std::move(done)});
  if (questions_.size() > 1) return;
  loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) Serve();
  });
}

void HostFiles::Hold(std::function<void()> held) {
  is_held_ = true;
  if (!is_asked_) return held();
  on_held_ = std::move(held);
}

void HostFiles::Release() {
  is_held_ = false;
  on_held_ = nullptr;
  Serve();
}

// Does what can be done now.
void HostFiles::Serve() {
  if (is_asked_) return;
  if (is_held_) {
    if (auto held = std::exchange(on_held_, nullptr)) held();  // may destroy this
    return;
  }
  if (questions_.empty()) return;
  if (phase_ == Phase::kNone) return Start();
  if (phase_ != Phase::kServing) return;
  is_asked_ = true;
  FileRequest& request = questions_.front().request;
  request.set_number(++last_number_);
  if (const int64_t needed = NeededBytes(request); needed > 0 && !process_->HasMemoryFor(needed)) {
    FileReply refusal;
    refusal.set_error_number(ENOMEM);
    return Finish(std::move(refusal));
  }
  HostFrame frame;
  frame.mutable_file_request()->Swap(&request);
  SetTimer();
  Send(frame);
  // What the answer is checked against stays; what was written needs no second place meanwhile.
  request.Swap(frame.mutable_file_request());
  if (request.has_write_part()) std::string().swap(*request.mutable_write_part()->mutable_data());
}

void HostFiles::Start() {
  phase_ = Phase::kStarting;
  make_([this, alive = std::weak_ptr<char>(alive_)](auto made) {
    if (!alive.expired()) OnMade(std::move(made));
  });
}

void HostFiles::OnMade(absl::StatusOr<std::unique_ptr<FileProcess>> made) {
  if (!made.ok()) {
    phase_ = Phase::kNone;
    return FailAll(absl::IsUnavailable(made.status())
                       ? made.status()
                       : absl::InternalError(made.status().message()));
  }
  process_ = *std::move(made);
  phase_ = Phase::kOpening;
  HostFrame frame;
  *frame.mutable_serve_files()->mutable_limits() = process_->limits();
  frame.mutable_serve_files()->mutable_limits()->set_open_file_count(kProcessDescriptors);
  process_->channel().AllowLongFrames(kMaxFileReplyBytes);
  SetTimer();
  AwaitFrame();
  Send(frame);
}

void HostFiles::Send(const HostFrame& frame) {
  // Nothing is asked that is too long to be sent. A process that has gone is noticed by the end of
  // its channel.
  process_->channel().Send(EncodeFrame(frame, kMaxHostFrameBytes).value_or(""),
                           [](const absl::Status& /*sent*/) {});
}

void HostFiles::AwaitFrame() {
  process_->channel().AwaitFrame(
      [this](GuestChannel::FrameOrError frame) { OnFrame(std::move(frame)); });
}

void HostFiles::OnFrame(GuestChannel::FrameOrError frame) {
  if (!frame.ok() && absl::IsOutOfRange(frame.status())) return Lose(LostError("it ended"));
  if (!frame.ok()) return Lose(absl::InternalError(frame.status().message()));
  if (phase_ == Phase::kServing && is_asked_ && frame->has_file_reply()) {
    return OnReply(std::move(*frame->mutable_file_reply()));
  }
  if (phase_ == Phase::kOpening && frame->has_session_opened()) {
    CancelTimer();
    phase_ = Phase::kServing;
    AwaitFrame();
    return Serve();
  }
  Lose(absl::InternalError(
      frame->has_setup_failed()
          ? absl::StrCat("the process of a sandbox's files could not be set up: ",
                         frame->setup_failed().message())
          : "the process of a sandbox's files spoke out of turn"));
}

void HostFiles::OnReply(FileReply reply) {
  const absl::Status checked = CheckFileReply(questions_.front().request, reply);
  if (!checked.ok()) return Lose(absl::InternalError(checked.message()));
  AwaitFrame();
  Finish(std::move(reply));
}

void HostFiles::Lose(const absl::Status& why) {
  CancelTimer();
  const bool had_opened = phase_ == Phase::kServing;
  phase_ = Phase::kNone;
  process_.reset();
  if (!had_opened) return FailAll(why);
  if (is_asked_) Finish(why);
}

void HostFiles::Finish(absl::StatusOr<FileReply> result) {
  CancelTimer();
  is_asked_ = false;
  const Sandbox::FileCallback done = std::move(questions_.front().done);
  questions_.pop_front();
  const std::weak_ptr<char> alive = alive_;
  done(std::move(result));
  if (!alive.expired()) Serve();
}

void HostFiles::FailAll(const absl::Status& why) {
  const std::weak_ptr<char> alive = alive_;
  for (Question& question : std::exchange(questions_, {})) {
    question.done(why);
    if (alive.expired()) return;
  }
  Serve();  // what was asked meanwhile
}

void HostFiles::SetTimer() {
  timer_ = loop_->CallAfter(kRequestTimeout, [this] {
    timer_ = 0;
    Lose(LostError("it did not answer in time"));
  });
}

void HostFiles::CancelTimer() { loop_->Cancel(std::exchange(timer_, 0)); }

}  // namespace cloister::sandbox
