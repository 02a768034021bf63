// Bytes of a clone while it is made: they grow, and are charged to the interpreter that makes it.
//
// Thread-safety: the thread that holds the GIL only. Ownership: of its memory. Errors: Reserve
// returns false where there is no memory for more, with nothing changed.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_BYTES_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "sandbox/clone/varint.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// memcpy for what is mostly short, as text is: without a call.
[[gnu::always_inline]] inline void CopyShort(void* to, const void* from, size_t count) {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  // The second half overlaps the first.
  const auto halves = [out, in, count](auto first) {
    auto last = first;
    memcpy(&first, in, sizeof(first));
    memcpy(&last, in + count - sizeof(last), sizeof(last));
    memcpy(out, &first, sizeof(first));
    memcpy(out + count - sizeof(last), &last, sizeof(last));
  };
  if (count > 16) {
    memcpy(out, in, count);
  } else if (count >= 8) {
    halves(uint64_t{});
  } else if (count >= 4) {
    halves(uint32_t{});
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = in[i];
  }
}

class CloneBytes {
 public:
  CloneBytes() = default;
  CloneBytes(CloneBytes&& other) noexcept { *this = std::move(other); }
  CloneBytes& operator=(CloneBytes&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(at_, other.at_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~CloneBytes() { PyMem_RawFree(begin_); }

  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  size_t room() const { return static_cast<size_t>(end_ - at_); }
  std::string_view view() const { return {reinterpret_cast<const char*>(begin_), size()}; }
  uint8_t* data() { return begin_; }

  // Room for `count` bytes more.
  bool Reserve(size_t count) { return room() >= count || Grow(count); }

  // The rest writes into room that there is.
  void Put(uint8_t byte) { *at_++ = byte; }
  void PutBytes(const void* bytes, size_t count) {
    memcpy(at_, bytes, count);
    at_ += count;
  }
  void PutShort(const void* bytes, size_t count) {
    CopyShort(at_, bytes, count);
    at_ += count;
  }
  template <typename T>
  void PutFixed(T number) {
    memcpy(at_, &number, sizeof(number));  // little-endian, as every machine this is built for
    at_ += sizeof(number);
  }
  // At most kMaxVarintBytes.
  void PutVarint(uint64_t number) {
    at_ = reinterpret_cast<uint8_t*>(WriteVarint(number, reinterpret_cast<char*>(at_)));
  }
  // `count` bytes that the caller fills.
  uint8_t* Skip(size_t count) { return std::exchange(at_, at_ + count); }
  void Truncate(size_t size) { at_ = begin_ + size; }

 private:
  bool Grow(size_t count) {
    const size_t used = size();
    const size_t wanted = std::max(used + count, 2 * static_cast<size_t>(end_ - begin_));
    auto* grown = static_cast<uint8_t*>(PyMem_RawRealloc(begin_, std::max<size_t>(wanted, 1024)));
    if (grown == nullptr) return false;
    begin_ = grown;
    at_ = grown + used;
    end_ = grown + std::max<size_t>(wanted, 1024);
    return true;
  }

  uint8_t* begin_ = nullptr;
  uint8_t* at_ = nullptr;
  uint8_t* end_ = nullptr;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_BYTES_H_
