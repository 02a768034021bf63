#include "clients/cli/commands/units.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cloister::cli {
namespace {

// SimpleAtod would also take "nan", "0x10" and "1e9".
bool ParseDecimal(absl::string_view text, double* value) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(c) && c != '.') return false;
  }
  return absl::SimpleAtod(text, value);
}

// The factor of a size suffix; 0 for what is none.
double SizeFactor(absl::string_view suffix) {
  std::string unit = absl::AsciiStrToLower(suffix);
  if (unit.empty() || unit == "b") return 1;
  if (absl::EndsWith(unit, "ib")) {
    unit.resize(unit.size() - 2);
  } else if (unit.size() > 1 && unit.back() == 'b') {
    unit.pop_back();
  }
  if (unit.size() != 1) return 0;
  constexpr absl::string_view kUnits = "kmgt";
  const size_t power = kUnits.find(unit[0]);
  return power == absl::string_view::npos ? 0 : std::exp2(10.0 * static_cast<double>(power + 1));
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  double seconds = 0;
  if (ParseDecimal(text, &seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &duration)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no length of time; write 5s, 250ms or 1m30s"));
  }
  if (duration < absl::Nanoseconds(1) || duration > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" is out of range; a length of time is positive and at most 365 days"));
  }
  return duration;
}

absl::StatusOr<int64_t> ParseSize(absl::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const double factor = SizeFactor(absl::StripLeadingAsciiWhitespace(text.substr(digits)));
  if (factor == 0 || !ParseDecimal(text.substr(0, digits), &number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no size; write 256M, 64K or a number of bytes"));
  }
  const double bytes = number * factor;
  if (bytes < 1 || bytes >= std::exp2(63)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is out of range; a size is at least one byte and less than 8388608T"));
  }
  return static_cast<int64_t>(bytes);
}

absl::StatusOr<int64_t> ParseCount(absl::string_view text, int64_t maximum) {
  int64_t count = 0;
  if (!absl::SimpleAtoi(text, &count) || count < 1 || count > maximum) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no number from 1 to ", maximum));
  }
  return count;
}

std::string DurationText(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 1e-3) return absl::StrFormat("%.0f µs", seconds * 1e6);
  if (seconds < 1) return absl::StrFormat("%.1f ms", seconds * 1e3);
  return absl::StrFormat("%.2f s", seconds);
}

std::string SizeText(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const int decimals = value == std::floor(value) ? 0 : 1;
  return absl::StrFormat("%.*f %s", decimals, value, kUnits[unit]);
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace cloister::cli
