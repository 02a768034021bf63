// The part of a live sandbox's session that opens it.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/host/host_session.h"

namespace cloister::sandbox {
namespace {

// As interpreters.proto says.
constexpr size_t kMaxImportMessageBytes = size_t{4} << 10;

}  // namespace

void HostSession::BeginOpening() {
  timer_ = parts_->loop->CallAfter(imports_.empty() ? kOpenTimeout : kImportTimeout,
                                   [this] { OnOpenTimeout(); });
  AwaitFrame();
}

void HostSession::AwaitOpened() {
  phase_ = Phase::kOpening;
  parts_->channel.AllowLongFrames();
  BeginOpening();
}

void HostSession::Open(const std::optional<internal::v1::SetSandboxLimits>& kernel_limits) {
  BeginOpening();
  if (!kernel_limits.has_value()) return SendOpen();
  parts_->control->SetLimits(*kernel_limits);
}

void HostSession::OnLimitsSet(const std::string& error) {
  if (phase_ != Phase::kSettingLimits) return;
  if (error.empty()) return SendOpen();
  ReportOpened(absl::InternalError(absl::StrCat("its limits could not be set: ", error)));
}

void HostSession::SendOpen() {
  phase_ = Phase::kOpening;
  parts_->channel.AllowLongFrames();
  if (!open_status_.ok()) return Lose(HostStop::kNeverStarted, open_status_.ToString());
  // An error shows as the channel's end.
  parts_->channel.Send(std::move(open_frame_), [](const absl::Status&) {});
}

void HostSession::OnOpenTimeout() {
  if (phase_ == Phase::kOpen) return;
  ReportOpened(absl::InternalError(
      imports_.empty() ? "the sandbox did not take its environment and files in time"
                       : absl::StrCat("it did not import its modules within ",
                                      absl::FormatDuration(kImportTimeout))));
}

// What it says of an import goes to the client.
absl::Status HostSession::CheckImportFailed(const internal::v1::ImportFailed& failed) const {
  if (std::find(imports_.begin(), imports_.end(), failed.module()) == imports_.end()) {
    return absl::DataLossError("an import that was not asked for");
  }
  return failed.message().size() <= kMaxImportMessageBytes
             ? absl::OkStatus()
             : absl::DataLossError("a message that is too long");
}

void HostSession::ReportOpened(const absl::Status& status) {
  parts_->loop->Cancel(timer_);
  phase_ = status.ok() ? Phase::kOpen : Phase::kEnded;
  status.ok() ? idle_cpu_.Begin() : mailbox_.Close();
  // Never inline from the call that caused it.
  parts_->loop->Post([this, status, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) observer_->OnOpened(status);
  });
}

void HostSession::AwaitFailedExit() {
  phase_ = Phase::kFailing;
  parts_->channel.CancelAwait();
  exit_watch_.Await([this](Observation seen) {
    seen.limits = limits_;
    seen.oom_kills = exit_watch_.exit().has_value() ? exit_watch_.exit()->oom_kill_count() : 0;
    const v1::Outcome how = ClassifyOutcome(std::move(seen));
    const std::string text = absl::StrCat("it ended while it was opened: ", how.detail());
    ReportOpened(how.kind() == v1::Outcome::KIND_MEMORY_LIMIT ? absl::ResourceExhaustedError(text)
                                                              : absl::InternalError(text));
  });
}

bool HostSession::TakeOpening(const internal::v1::GuestFrame& frame) {
  if (frame.has_setup_failed()) {
    ReportOpened(absl::ResourceExhaustedError(ForeignLine(frame.setup_failed().message())));
    return true;
  }
  if (frame.has_import_failed()) {
    if (absl::Status status = CheckImportFailed(frame.import_failed()); !status.ok()) {
      Lose(HostStop::kBrokenProtocol, std::string(status.message()));
      return true;
    }
    import_failed_ = frame.import_failed();
    ReportOpened(absl::FailedPreconditionError(import_failed_->message()));
    return true;
  }
  if (!frame.has_session_opened()) return false;
  AwaitFrame();
  ReportOpened(absl::OkStatus());
  return true;
}

}  // namespace cloister::sandbox
