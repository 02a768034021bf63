#include "sandbox/zygote/copy_checks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/zygote/refusal.h"

namespace cloister::sandbox {
namespace {

constexpr std::string_view kNoDevice = "00:00";
constexpr size_t kMaxNameBytes = 200;  // of a guest's file, in what is told of it

// One line of /proc/PID/maps, as far as it matters; views of it.
struct Mapping {
  bool is_shared = false;
  std::string_view device;
  std::string_view name;
};

std::string_view TakeField(std::string_view* line) {
  line->remove_prefix(std::min(line->find_first_not_of(' '), line->size()));
  const std::string_view field = line->substr(0, line->find(' '));
  line->remove_prefix(field.size());
  return field;
}

Mapping ParseMapping(std::string_view line) {
  // begin-end permissions offset device inode name
  TakeField(&line);
  const std::string_view permissions = TakeField(&line);
  TakeField(&line);
  Mapping mapping;
  mapping.is_shared = permissions.size() > 3 && permissions[3] == 's';
  mapping.device = TakeField(&line);
  TakeField(&line);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  mapping.name = line;
  return mapping;
}

}  // namespace

absl::Status CheckPageTables(pid_t source) {
  constexpr std::string_view kLine = "VmPTE:";
  std::ifstream status(absl::StrCat("/proc/", source, "/status"));
  for (std::string line; std::getline(status, line);) {
    std::string_view rest = line;
    if (rest.substr(0, kLine.size()) != kLine) continue;
    rest.remove_prefix(kLine.size());
    rest.remove_prefix(std::min(rest.find_first_of("0123456789"), rest.size()));
    int64_t kibibytes = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), kibibytes);
    if (kibibytes * 1024 <= kMaxPageTableBytes) return absl::OkStatus();
    return Refusal(absl::StrCat("it has too much memory mapped to be copied while others wait: page tables of ",
                                kibibytes >> 10, " MiB, at most ", kMaxPageTableBytes >> 20,
                                " (free what is not needed)"));
  }
  return absl::AbortedError("the sandbox has ended");
}

MappingCheck MappingCheck::OfThisProcess() {
  MappingCheck check;
  check.image_devices_.emplace_back(kNoDevice);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string_view device = ParseMapping(line).device;
    if (!check.IsOfImage(device)) check.image_devices_.emplace_back(device);
  }
  return check;
}

bool MappingCheck::IsOfImage(std::string_view device) const {
  return std::find(image_devices_.begin(), image_devices_.end(), device) != image_devices_.end();
}

absl::Status MappingCheck::CheckLine(std::string_view line) const {
  const Mapping mapping = ParseMapping(line);
  if (!mapping.is_shared && IsOfImage(mapping.device)) return absl::OkStatus();
  return Refusal(absl::StrCat(
      "memory would stay shared with the copy: ",
      mapping.name.empty() ? "a shared mapping" : ForeignText(mapping.name, kMaxNameBytes),
      " (close what maps it, e.g. mmap or numpy.memmap)"));
}

absl::Status MappingCheck::Check(pid_t copy) const {
  std::ifstream maps(absl::StrCat("/proc/", copy, "/maps"));
  if (!maps) return SyscallError("read the mappings of a copy");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (++count > kMaxMappings) {
      return Refusal(absl::StrCat("it has more than ", kMaxMappings,
                                  " separate memory mappings (munmap what is not needed)"));
    }
    CLOISTER_RETURN_IF_ERROR(CheckLine(line));
  }
  // One that is gone has none.
  return count > 0 ? absl::OkStatus() : absl::AbortedError("the copy has ended");
}

}  // namespace cloister::sandbox
