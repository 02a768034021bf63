#include "service/identity/token_digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cstring>

#include "absl/strings/escaping.h"

namespace cloister::identity {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

TokenDigest TokenDigest::Of(std::string_view token) {
  TokenDigest digest;
  static_assert(sizeof(digest.bytes_) == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.bytes_.data());
  return digest;
}

std::optional<TokenDigest> TokenDigest::FromHex(std::string_view hex) {
  TokenDigest digest;
  if (hex.size() != 2 * digest.bytes_.size()) return std::nullopt;
  for (size_t i = 0; i < digest.bytes_.size(); ++i) {
    const int high = HexValue(hex[2 * i]);
    const int low = HexValue(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes_[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

bool TokenDigest::Equals(const TokenDigest& other) const {
  return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) == 0;
}

uint64_t TokenDigest::prefix() const {
  uint64_t prefix = 0;
  std::memcpy(&prefix, bytes_.data(), sizeof(prefix));
  return prefix;
}

std::string TokenDigest::Hex() const {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()));
}

}  // namespace cloister::identity
