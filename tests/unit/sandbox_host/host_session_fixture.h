// A live sandbox whose guest the test plays.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SESSION_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SESSION_FIXTURE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/sandbox_host/host_sandbox_fixture.h"

namespace cloister::sandbox {

class RecordingSession final : public SessionObserver {
 public:
  void OnOpened(const absl::Status& status) override { opened = status; }
  void OnLost(const v1::Outcome& how) override { lost = how; }
  void OnLateOutput(int64_t cell, v1::LateOutput output) override {
    late.emplace_back(cell, output.stdout());
  }

  std::optional<absl::Status> opened;
  std::optional<v1::Outcome> lost;
  std::vector<std::pair<int64_t, std::string>> late;
};

// Remembers the events as well.
class CellObserver final : public RecordingObserver {
 public:
  void OnCellEvent(v1::ExecutionEvent event) override { events.push_back(std::move(event)); }
  std::vector<v1::ExecutionEvent> events;
};

class HostSessionTest : public HostSandboxTest {
 protected:
  void SetUp() override {
    HostSandboxTest::SetUp();
    Open();
  }

  void Open(SessionSpec spec = {}) {
    sandbox_->OpenSession(std::move(spec), &session_);
    opening_ = guest_->ReadHostFrame();
    internal::v1::GuestFrame frame;
    frame.mutable_session_opened();
    guest_->Say(frame);
    RunUntil(&loop_, [this] { return session_.opened.has_value(); });
  }

  // Starts a cell and has the guest read it.
  internal::v1::HostFrame StartCell(int64_t number, const Limits& limits = Limits(), bool allow_input = false) {
    cell_.emplace();
    sandbox_->RunCell({.number = number, .allow_input = allow_input}, v1::Program(), limits,
                      &*cell_);
    return guest_->ReadHostFrame();
  }

  void SayCellFinished(int64_t number, internal::v1::Finished::Kind kind = internal::v1::Finished::KIND_SUCCEEDED,
                       const std::string& exception = "") {
    internal::v1::GuestFrame frame;
    frame.mutable_finished()->set_kind(kind);
    frame.mutable_finished()->set_cell(number);
    if (!exception.empty()) frame.mutable_finished()->mutable_exception()->set_type(exception);
    guest_->Say(frame);
  }

  v1::Outcome AwaitCell() {
    RunUntil(&loop_, [this] { return cell_->finished(); });
    return cell_->outcome();
  }
  v1::Outcome AwaitLoss() {
    RunUntil(&loop_, [this] { return session_.lost.has_value(); });
    return session_.lost.value_or(v1::Outcome());
  }

  void SaySignaled() {
    internal::v1::SpawnerEvent event;
    event.mutable_sandbox_signaled()->set_sandbox_id(guest_->sandbox_id());
    spawner_->Say(event);
  }

  void SayLate(int64_t cell, const std::string& text) {
    internal::v1::GuestFrame frame;
    frame.mutable_late_output()->set_cell(cell);
    frame.mutable_late_output()->set_stdout(text);
    guest_->Say(frame);
  }

  RecordingSession session_;
  internal::v1::HostFrame opening_;
  std::optional<CellObserver> cell_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SESSION_FIXTURE_H_
