// From what a live interpreter's guest says beside the ends of its cells to events for clients.
//
// Errors: DATA_LOSS, saying what no guest of ours sends.

#ifndef CLOISTER_SANDBOX_HOST_CELL_FRAME_H_
#define CLOISTER_SANDBOX_HOST_CELL_FRAME_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/execution.pb.h"

namespace cloister::sandbox {

// The cell that a frame names; 0 for frames that name none.
int64_t CellOf(const internal::v1::GuestFrame& frame);

// A display, clear_output or input_request of the cell that runs.
absl::StatusOr<v1::ExecutionEvent> TakeCellEvent(internal::v1::GuestFrame frame);

struct LateFrame {
  int64_t cell = 0;
  v1::LateOutput output;  // without `execution`
};

// Output, a display or a clear_output of an earlier cell.
absl::StatusOr<LateFrame> TakeLateFrame(internal::v1::GuestFrame frame);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_CELL_FRAME_H_
