#include "service/identity/token_table.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cloister/internal/v1/tokens.pb.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace cloister::identity {
namespace {

constexpr size_t kMostProblems = 20;

// Where the parser stumbled. Not over what: it quotes the text, and that may be a token that
// somebody wrote in place of its hash.
class Places final : public google::protobuf::io::ErrorCollector {
 public:
  explicit Places(std::string name) : name_(std::move(name)) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& /*message*/) override {
    if (places_.size() >= kMostProblems) return;
    places_.push_back(absl::StrCat(name_, ":", line + 1, ":", column + 1,
                                   ": is no text of a TokenFile (tokens.proto) from here on"));
  }
  absl::Status ToStatus() const { return absl::InvalidArgumentError(absl::StrJoin(places_, "\n")); }

 private:
  const std::string name_;
  std::vector<std::string> places_;
};

absl::Status TooLarge(const std::string& name) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": must have at most ",
                                                 kMaximumTokenFileBytes, " bytes and ",
                                                 kMaximumTokens, " tokens"));
}

// What is wrong with one; empty for nothing.
std::string Problem(const internal::v1::Token& token,
                    const std::unordered_set<std::string>& tenants) {
  if (!TokenDigest::FromHex(token.sha256()).has_value()) {
    return "sha256: must be 64 hexadecimal digits, as `cloister token new` prints them";
  }
  if (tenants.count(token.tenant()) == 0) {
    return "tenant: is none of the configuration's `tenants`, and not \"default\"";
  }
  if (token.has_expires() && (token.expires().seconds() <= 0 || token.expires().nanos() < 0 ||
                              token.expires().seconds() > 253'402'300'799)) {
    return "expires: is no time; write e.g. expires { seconds: 1900000000 }";
  }
  return "";
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(const std::string& text, const std::string& name,
                                             const std::unordered_set<std::string>& tenants) {
  if (text.size() > kMaximumTokenFileBytes) return TooLarge(name);
  internal::v1::TokenFile file;
  Places places(name);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&places);
  if (!parser.ParseFromString(text, &file)) return places.ToStatus();
  if (file.token_size() > kMaximumTokens) return TooLarge(name);
  TokenTable table;
  std::vector<std::string> problems;
  for (int i = 0; i < file.token_size() && problems.size() < kMostProblems; ++i) {
    const internal::v1::Token& entry = file.token(i);
    std::string problem = Problem(entry, tenants);
    if (problem.empty()) {
      Token token{.digest = *TokenDigest::FromHex(entry.sha256()), .tenant = entry.tenant()};
      if (entry.has_expires()) token.expires = absl::FromUnixSeconds(entry.expires().seconds());
      // Two of random tokens do not share eight bytes of their hashes.
      const uint64_t key = token.digest.prefix();
      if (!table.tokens_.emplace(key, std::move(token)).second) problem = "sha256: is there twice";
    }
    if (!problem.empty()) problems.push_back(absl::StrCat(name, ": token[", i, "].", problem));
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return table;
}

const TokenTable::Token* TokenTable::Find(std::string_view token) const {
  // A caller chooses the token and so cannot choose its hash: how long the table takes tells
  // nothing about the hashes in it that leads to a token.
  const TokenDigest digest = TokenDigest::Of(token);
  static const Token kNobody;
  const auto found = tokens_.find(digest.prefix());
  const Token& candidate = found == tokens_.end() ? kNobody : found->second;
  const bool is_it = candidate.digest.Equals(digest);
  return is_it && found != tokens_.end() ? &candidate : nullptr;
}

}  // namespace cloister::identity
