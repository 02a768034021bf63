#include "sandbox/host/memory_room.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::sandbox {
namespace {

// memory.stat has some fifty lines.
constexpr size_t kMaxStatBytes = 8192;

std::string ReadFromStart(int fd) {
  char text[kMaxStatBytes];
  const ssize_t got = ::pread(fd, text, sizeof(text), 0);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

std::optional<int64_t> ReadUsage(int fd) {
  int64_t bytes = 0;
  return absl::SimpleAtoi(ReadFromStart(fd), &bytes) ? std::make_optional(bytes) : std::nullopt;
}

// Pages of files on disk, which the kernel takes back before it kills anybody. (Files in memory are
// counted as anonymous here.)
int64_t ReclaimableBytes(int fd) {
  int64_t sum = 0;
  const std::string text = ReadFromStart(fd);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t bytes = 0;
    if ((absl::ConsumePrefix(&line, "inactive_file ") ||
         absl::ConsumePrefix(&line, "active_file ")) &&
        absl::SimpleAtoi(line, &bytes)) {
      sum += bytes;
    }
  }
  return sum;
}

}  // namespace

int64_t MemoryRoom::ReserveOf(int64_t memory_limit) {
  return std::clamp(memory_limit / 8, int64_t{1} << 20, int64_t{4} << 20);
}

bool MemoryRoom::Has(int64_t bytes, int64_t memory_limit) const {
  if (!usage_) return true;
  const std::optional<int64_t> used = ReadUsage(usage_.get());
  if (!used.has_value()) return true;
  const int64_t room = memory_limit - *used - ReserveOf(memory_limit);
  // The second figure costs ten times the first, and is seldom needed.
  return room >= bytes || (stat_ && room + ReclaimableBytes(stat_.get()) >= bytes);
}

}  // namespace cloister::sandbox
