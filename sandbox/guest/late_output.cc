#include "sandbox/guest/late_output.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/output_file.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxPieceBytes = size_t{64} << 10;

// Between two cells. The host has bounds of its own; this one keeps a thread that writes without end
// from waiting for a reader.
constexpr size_t kMaxLateBytes = size_t{1} << 20;
constexpr std::string_view kDropped = "\n... further late output is dropped ...\n";

FrameSender* late_sender = nullptr;
size_t allowance = kMaxLateBytes;

Diverted SendPiece(int fd, int64_t cell, std::string_view piece) {
  internal::v1::GuestFrame frame;
  internal::v1::LateOutput* late = frame.mutable_late_output();
  late->set_cell(cell);
  if (fd == STDOUT_FILENO) {
    late->set_stdout(piece.data(), piece.size());
  } else {
    late->set_stderr(piece.data(), piece.size());
  }
  const absl::Status status = late_sender->Send(frame, FrameSender::OnSignal::kRunHandlers);
  if (status.ok()) return Diverted::kYes;
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_OSError, "the host is gone");
  return Diverted::kFailed;
}

Diverted Divert(int fd, std::string_view data) {
  if (fd != STDOUT_FILENO && fd != STDERR_FILENO) return Diverted::kNo;
  const int64_t cell = CellOfCaller();
  if (cell == 0 || cell == ForegroundCell() || !late_sender->IsOwner()) return Diverted::kNo;
  while (!data.empty() && allowance > 0) {
    const std::string_view piece = data.substr(0, std::min(kMaxPieceBytes, allowance));
    allowance -= piece.size();
    data.remove_prefix(piece.size());
    const Diverted sent = SendPiece(fd, cell, piece);
    if (sent != Diverted::kYes) return sent;
    if (allowance == 0) return SendPiece(fd, cell, kDropped);
  }
  return Diverted::kYes;
}

}  // namespace

void SendLateOutput(FrameSender* sender) {
  late_sender = sender;
  SetOutputDiverter(Divert);
}

void RenewLateOutputAllowance() { allowance = kMaxLateBytes; }

}  // namespace cloister::sandbox
