// Variable-length numbers of the clone format: unsigned LEB128 below 2^63 in its shortest form, up
// to nine bytes.

#ifndef CLOISTER_SANDBOX_CLONE_VARINT_H_
#define CLOISTER_SANDBOX_CLONE_VARINT_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace cloister::sandbox {

inline constexpr size_t kMaxVarintBytes = 9;
inline constexpr uint64_t kMaxVarint = (uint64_t{1} << 63) - 1;

// Writes `number`, at most kMaxVarint, to `out`, which has room for kMaxVarintBytes; where it ends.
inline char* WriteVarint(uint64_t number, char* out) {
  while (number >= 0x80) {
    *out++ = static_cast<char>(number | 0x80);
    number >>= 7;
  }
  *out++ = static_cast<char>(number);
  return out;
}

inline void AppendVarint(uint64_t number, std::string* out) {
  char bytes[kMaxVarintBytes];
  out->append(bytes, static_cast<size_t>(WriteVarint(number, bytes) - bytes));
}

// Reads a number from [at, end) into `number`; where it ends, or null where there is none: cut
// short, too long, or longer than it need be.
inline const char* ReadVarint(const char* at, const char* end, uint64_t* number) {
  uint64_t result = 0;
  for (size_t i = 0; i < kMaxVarintBytes && at + i < end; ++i) {
    const auto byte = static_cast<uint8_t>(at[i]);
    result |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return nullptr;
      *number = result;
      return at + i + 1;
    }
  }
  return nullptr;
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_VARINT_H_
