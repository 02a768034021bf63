// What the host makes of a frame's bytes: it refuses them, or builds a message within the bounds.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "sandbox/host/cell_frame.h"
#include "sandbox/host/guest_frame.h"
#include "sandbox/host/notebook_frame.h"
#include "sandbox/host/outcome_classifier.h"

namespace {

// A message in memory, to the bytes it came from: what a field costs at most, with room to spare.
constexpr size_t kBytesPerField = 1024;

// The most that clients are promised for one event: a bundle with its metadata and names.
constexpr size_t kMaxEventBytes = (size_t{16} << 20) + (size_t{128} << 10);

// What a live sandbox's guest may say at any time becomes an event within the caps, or is refused.
void CheckCellFrame(const cloister::internal::v1::GuestFrame& frame) {
  const auto event = cloister::sandbox::TakeCellEvent(frame);
  if (event.ok() && event->ByteSizeLong() > kMaxEventBytes) std::abort();
  const auto late = cloister::sandbox::TakeLateFrame(frame);
  if (late.ok() && late->output.ByteSizeLong() > kMaxEventBytes) std::abort();
  (void)cloister::sandbox::CheckBundle(frame.finished().value().bundle());
  (void)cloister::sandbox::CheckCompleted(frame.completed(), {});
  (void)cloister::sandbox::CheckInspected(frame.inspected());
  (void)cloister::sandbox::CheckChecked(frame.checked());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // It logs text that is not UTF-8, once per input.
  static google::protobuf::LogSilencer silencer;
  auto frame = cloister::sandbox::ParseGuestFrame(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!frame.ok()) return 0;
  if (frame->SpaceUsedLong() >
      4 * size + kBytesPerField * cloister::sandbox::kMaxGuestFrameFields) {
    std::abort();
  }
  CheckCellFrame(*frame);
  if (!frame->has_finished()) return 0;
  cloister::sandbox::Observation seen;
  seen.in_session = size % 2 == 0;
  if (size % 3 == 0) seen.asked = cloister::sandbox::HostStop::kInterruptGrace;
  seen.finished = frame->finished();
  const auto outcome = cloister::sandbox::ClassifyOutcome(std::move(seen));
  if (outcome.kind() == cloister::v1::Outcome::KIND_UNSPECIFIED) std::abort();
  return 0;
}
