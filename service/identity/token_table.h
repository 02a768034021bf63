// The tokens that are accepted, as one file tells them.

#ifndef CLOISTER_SERVICE_IDENTITY_TOKEN_TABLE_H_
#define CLOISTER_SERVICE_IDENTITY_TOKEN_TABLE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/identity/token_digest.h"

namespace cloister::identity {

inline constexpr size_t kMaximumTokenFileBytes = size_t{1} << 20;
inline constexpr int kMaximumTokens = 10'000;

// Thread-safety: safe; const after construction.
class TokenTable {
 public:
  struct Token {
    TokenDigest digest;
    std::string tenant;
    absl::Time expires = absl::InfiniteFuture();
  };

  // No tokens.
  TokenTable() = default;

  // Of a TokenFile in text form. `tenants` are those that may be named. Errors: INVALID_ARGUMENT
  // with every problem, one "NAME:LINE..." or "NAME: token[N].FIELD: what is wrong" a line; never
  // with what stands in the file.
  static absl::StatusOr<TokenTable> Parse(const std::string& text, const std::string& name,
                                          const std::unordered_set<std::string>& tenants);

  // Null for none. Takes as long whichever token it is, and whether it is one.
  const Token* Find(std::string_view token) const;

  size_t size() const { return tokens_.size(); }

 private:
  std::unordered_map<uint64_t, Token> tokens_;  // by the digest's prefix
};

}  // namespace cloister::identity

#endif  // CLOISTER_SERVICE_IDENTITY_TOKEN_TABLE_H_
