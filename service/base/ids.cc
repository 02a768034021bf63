#include "service/base/ids.h"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace cloister::base {
namespace {

constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
constexpr int kBitsPerCharacter = 5;
constexpr int kCharacters = 26;  // 128 bits, rounded up

}  // namespace

std::string NewId() {
  std::array<uint8_t, 16> bytes;
  if (getentropy(bytes.data(), bytes.size()) != 0) {
    std::perror("cloister: getentropy; the kernel gives no random numbers, cannot go on");
    std::abort();
  }
  std::string id;
  id.reserve(kCharacters);
  uint32_t pending = 0;
  int pending_bits = 0;
  for (uint8_t byte : bytes) {
    pending = (pending << 8) | byte;
    pending_bits += 8;
    while (pending_bits >= kBitsPerCharacter) {
      pending_bits -= kBitsPerCharacter;
      id.push_back(kAlphabet[(pending >> pending_bits) & 31]);
    }
  }
  // The last 3 bits, padded with zeros on the right.
  id.push_back(kAlphabet[(pending << (kBitsPerCharacter - pending_bits)) & 31]);
  return id;
}

}  // namespace cloister::base
