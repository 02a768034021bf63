// What is kept of a token: its SHA-256. A token is 256 random bits and no password, so nobody can
// guess one, and a slow or salted hash would cost each call and protect nothing more.

#ifndef CLOISTER_SERVICE_IDENTITY_TOKEN_DIGEST_H_
#define CLOISTER_SERVICE_IDENTITY_TOKEN_DIGEST_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cloister::identity {

// Thread-safety: a value.
class TokenDigest {
 public:
  static TokenDigest Of(std::string_view token);
  // From 64 hexadecimal digits.
  static std::optional<TokenDigest> FromHex(std::string_view hex);

  // In a time that does not depend on where they differ.
  bool Equals(const TokenDigest& other) const;
  // The first eight bytes, for tables.
  uint64_t prefix() const;
  std::string Hex() const;
  // Enough to tell tokens apart for people, and nothing to call with.
  std::string ShortHex() const { return Hex().substr(0, 8); }

 private:
  std::array<uint8_t, 32> bytes_{};
};

}  // namespace cloister::identity

#endif  // CLOISTER_SERVICE_IDENTITY_TOKEN_DIGEST_H_
