#include "service/core/interpreter_profiles.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

// Before that, CPython leaks much of each interpreter with a GIL of its own, and aborts when several
// are made at once.
constexpr std::pair<int, int> kFirstWithIsolated = {3, 14};

// {0, 0} for what is no version.
std::pair<int, int> MajorAndMinor(std::string_view version) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(version.data(), version.size()), '.');
  std::pair<int, int> numbers;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &numbers.first) ||
      !absl::SimpleAtoi(parts[1], &numbers.second)) {
    return {0, 0};
  }
  return numbers;
}

}  // namespace

std::vector<v1::Interpreter::Profile> OfferedProfiles(std::string_view python_version) {
  const std::pair<int, int> version = MajorAndMinor(python_version);
  if (version.first > 0 && version < kFirstWithIsolated) {
    return {v1::Interpreter::PROFILE_PROCESS};
  }
  return {v1::Interpreter::PROFILE_ISOLATED, v1::Interpreter::PROFILE_SHARED_GIL,
          v1::Interpreter::PROFILE_PROCESS};
}

bool IsOffered(v1::Interpreter::Profile profile, std::string_view python_version) {
  const auto offered = OfferedProfiles(python_version);
  return std::find(offered.begin(), offered.end(), profile) != offered.end();
}

sandbox::InterpreterProfile ToSeam(v1::Interpreter::Profile profile) {
  switch (profile) {
    case v1::Interpreter::PROFILE_ISOLATED:
      return sandbox::InterpreterProfile::kIsolated;
    case v1::Interpreter::PROFILE_SHARED_GIL:
      return sandbox::InterpreterProfile::kSharedGil;
    default:
      return sandbox::InterpreterProfile::kProcess;
  }
}

std::string ProfileName(v1::Interpreter::Profile profile) {
  return std::string(
      absl::StripPrefix(v1::Interpreter::Profile_Name(profile), "PROFILE_"));
}

absl::Status ProfileUnsupportedError(v1::Interpreter::Profile profile,
                                     std::string_view python_version) {
  const std::string name = ProfileName(profile);
  const std::string version(python_version);
  const bool is_too_old = !IsOffered(profile, python_version);
  return WithMetadata(
      WithMetadata(
          MakeError(v1::ERROR_REASON_PROFILE_UNSUPPORTED,
                    is_too_old
                        ? absl::StrCat("interpreters of profile ", name, " need Python 3.14; this "
                                       "template has ", version, ": ask for PROCESS")
                        : absl::StrCat("this server cannot offer interpreters of profile ", name)),
          "profile", name),
      "pythonVersion", version);
}

}  // namespace cloister::core
