// What the host makes of a frame's bytes: it refuses them, or builds a message within the bounds.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "sandbox/host/guest_frame.h"
#include "sandbox/host/outcome_classifier.h"

namespace {

// A message in memory, to the bytes it came from: what a field costs at most, with room to spare.
constexpr size_t kBytesPerField = 1024;

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
  if (!frame->has_finished()) return 0;
  cloister::sandbox::Observation seen;
  seen.interrupted = size % 2 == 0;
  seen.finished = frame->finished();
  const auto outcome = cloister::sandbox::ClassifyOutcome(std::move(seen));
  if (outcome.kind() == cloister::v1::Outcome::KIND_UNSPECIFIED) std::abort();
  return 0;
}
