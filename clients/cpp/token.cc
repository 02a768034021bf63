#include "cloister/client/token.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cloister::client {
namespace {

// As the server's.
constexpr size_t kMaximumTokenBytes = 512;

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status CheckToken(const std::string& token, const std::string& source) {
  if (token.empty()) return absl::InvalidArgumentError(absl::StrCat(source, " holds no token"));
  const bool is_printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (token.size() <= kMaximumTokenBytes && is_printable) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source, " holds no token: one has at most ",
                                                 kMaximumTokenBytes, " printable characters"));
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path, const std::string& source) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, " ", path, ": ", file.is_open() ? "is empty, or no file" : std::strerror(errno)));
  }
  std::string token(absl::StripAsciiWhitespace(line));
  const absl::Status checked = CheckToken(token, absl::StrCat(source, " ", path));
  if (!checked.ok()) return checked;
  return token;
}

}  // namespace

absl::StatusOr<std::string> ResolveToken(const std::string& given) {
  if (!given.empty()) return ReadTokenFile(given, "--token-file");
  if (const std::string token = Environment("CLOISTER_TOKEN"); !token.empty()) {
    const absl::Status checked = CheckToken(token, "CLOISTER_TOKEN");
    if (!checked.ok()) return checked;
    return token;
  }
  const std::string path = Environment("CLOISTER_TOKEN_FILE");
  if (path.empty()) return std::string();
  return ReadTokenFile(path, "CLOISTER_TOKEN_FILE");
}

absl::Status CheckTokenMayGoTo(const std::string& address) {
  for (const char* local : {"unix:", "localhost:", "[::1]:"}) {
    if (absl::StartsWith(address, local)) return absl::OkStatus();
  }
  // An address of 127.0.0.0/8, and no name that only begins so.
  in_addr number{};
  if (::inet_pton(AF_INET, address.substr(0, address.rfind(':')).c_str(), &number) == 1 &&
      ntohl(number.s_addr) >> 24 == 127) {
    return absl::OkStatus();
  }
  if (Environment("CLOISTER_INSECURE_PLAINTEXT") == "1") return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the token would go to ", address,
      " in plain text, where others can read it; where the network keeps it from them, set "
      "CLOISTER_INSECURE_PLAINTEXT=1"));
}

}  // namespace cloister::client
