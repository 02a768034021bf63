#include "sandbox/guest/late_output.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/output_file.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxPieceBytes = size_t{64} << 10;

// Between two cells. The host has bounds of its own; this one keeps a thread that writes without
// end from waiting for a reader.
constexpr size_t kMaxLateBytes = size_t{1} << 20;
constexpr std::string_view kDropped = "\n... further late output is dropped ...\n";

struct LateState {
  FrameSender* sender = nullptr;
  int stdout_fd = STDOUT_FILENO;
  int stderr_fd = STDERR_FILENO;
  size_t allowance = kMaxLateBytes;
  bool is_held = false;
};
const InterpreterLocal<LateState> late;

Diverted SendPiece(bool is_stdout, int64_t cell, std::string_view piece) {
  internal::v1::GuestFrame frame;
  internal::v1::LateOutput* output = frame.mutable_late_output();
  output->set_cell(cell);
  if (is_stdout) {
    output->set_stdout(piece.data(), piece.size());
  } else {
    output->set_stderr(piece.data(), piece.size());
  }
  const absl::Status status = late->sender->Send(frame, FrameSender::OnSignal::kRunHandlers);
  if (status.ok()) return Diverted::kYes;
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_OSError, "the host is gone");
  return Diverted::kFailed;
}

Diverted Divert(int fd, std::string_view data) {
  LateState& state = *late;
  const bool is_stdout = fd == state.stdout_fd;
  if (state.sender == nullptr || (!is_stdout && fd != state.stderr_fd)) return Diverted::kNo;
  const int64_t cell = CellOfCaller();
  const bool is_late = cell != 0 && cell != ForegroundCell();
  if (!is_late || state.is_held || !state.sender->IsOwner()) return Diverted::kNo;
  while (!data.empty() && state.allowance > 0) {
    const std::string_view piece = data.substr(0, std::min(kMaxPieceBytes, state.allowance));
    state.allowance -= piece.size();
    data.remove_prefix(piece.size());
    const Diverted sent = SendPiece(is_stdout, cell, piece);
    if (sent != Diverted::kYes) return sent;
    if (state.allowance == 0) return SendPiece(is_stdout, cell, kDropped);
  }
  return Diverted::kYes;
}

}  // namespace

void SendLateOutput(FrameSender* sender, int stdout_fd, int stderr_fd) {
  late->sender = sender;
  late->stdout_fd = stdout_fd;
  late->stderr_fd = stderr_fd;
  SetOutputDiverter(Divert);
}

void HoldLateOutput(bool hold) { late->is_held = hold; }

void RenewLateOutputAllowance() { late->allowance = kMaxLateBytes; }

}  // namespace cloister::sandbox
