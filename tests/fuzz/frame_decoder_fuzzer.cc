// The host's cutting of a guest's byte stream: however the bytes come in, the same messages come
// out, none is longer than allowed, and none reaches past its frame.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxBytes = 4096;

// What a reader makes of `stream` who takes at most `step` bytes at once.
std::vector<std::string> Decode(std::string_view stream, size_t step) {
  FrameDecoder decoder(kMaxBytes);
  std::vector<std::string> messages;
  while (!stream.empty()) {
    std::string_view piece = stream.substr(0, std::min(step, decoder.wanted()));
    const size_t offered = piece.size();
    if (!decoder.Consume(&piece).ok()) break;
    if (!piece.empty()) std::abort();  // no more than what was wanted, and yet too much
    stream.remove_prefix(offered);
    if (auto message = decoder.TakeMessage()) {
      if (message->size() > kMaxBytes || !decoder.AtFrameStart()) std::abort();
      messages.push_back(*std::move(message));
    }
  }
  return messages;
}

}  // namespace
}  // namespace cloister::sandbox

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using cloister::sandbox::Decode;
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> whole = Decode(stream, stream.size() + 1);
  if (Decode(stream, 1) != whole || Decode(stream, 7) != whole) std::abort();
  return 0;
}
