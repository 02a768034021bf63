#include "sandbox/host/cell_frame.h"

#include <utility>

#include "sandbox/base/status_macros.h"
#include "sandbox/host/notebook_frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

// As cell.proto promises.
constexpr size_t kMaxPieceBytes = size_t{64} << 10;

absl::Status Broken(const char* what) { return absl::DataLossError(what); }

}  // namespace

int64_t CellOf(const GuestFrame& frame) {
  switch (frame.frame_case()) {
    case GuestFrame::kDisplay:
      return frame.display().cell();
    case GuestFrame::kClearOutput:
      return frame.clear_output().cell();
    case GuestFrame::kInputRequest:
      return frame.input_request().cell();
    case GuestFrame::kLateOutput:
      return frame.late_output().cell();
    case GuestFrame::kFinished:
      return frame.finished().cell();
    default:
      return 0;
  }
}

absl::StatusOr<v1::ExecutionEvent> TakeCellEvent(GuestFrame frame) {
  v1::ExecutionEvent event;
  switch (frame.frame_case()) {
    case GuestFrame::kDisplay:
      CLOISTER_RETURN_IF_ERROR(CheckDisplay(frame.display().data()));
      *event.mutable_display() = std::move(*frame.mutable_display()->mutable_data());
      return event;
    case GuestFrame::kClearOutput:
      *event.mutable_clear_output() = frame.clear_output().clear_output();
      return event;
    case GuestFrame::kInputRequest: {
      v1::InputRequest& request = *frame.mutable_input_request()->mutable_request();
      CLOISTER_RETURN_IF_ERROR(CheckInputRequest(request));
      *event.mutable_input_request() = std::move(request);
      return event;
    }
    default:
      return Broken("a frame out of turn");
  }
}

absl::StatusOr<LateFrame> TakeLateFrame(GuestFrame frame) {
  LateFrame late;
  late.cell = CellOf(frame);
  switch (frame.frame_case()) {
    case GuestFrame::kLateOutput: {
      internal::v1::LateOutput& written = *frame.mutable_late_output();
      if (written.stdout().size() + written.stderr().size() > kMaxPieceBytes) {
        return Broken("a piece of output that is too long");
      }
      if (written.has_stderr()) {
        late.output.set_stderr(std::move(*written.mutable_stderr()));
      } else {
        late.output.set_stdout(std::move(*written.mutable_stdout()));
      }
      return late;
    }
    case GuestFrame::kDisplay:
      CLOISTER_RETURN_IF_ERROR(CheckDisplay(frame.display().data()));
      *late.output.mutable_display() = std::move(*frame.mutable_display()->mutable_data());
      return late;
    case GuestFrame::kClearOutput:
      *late.output.mutable_clear_output() = frame.clear_output().clear_output();
      return late;
    default:
      return Broken("a frame out of turn");
  }
}

}  // namespace cloister::sandbox
