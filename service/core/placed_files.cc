#include "service/core/placed_files.h"

#include "absl/strings/str_cat.h"

namespace cloister::core {
namespace {

constexpr int64_t kPageBytes = 4096;
constexpr int64_t kEntryBytes = 2048;
constexpr int64_t kInterpreterBytes = int64_t{4} << 20;

}  // namespace

std::string PlacingProblem(const google::protobuf::RepeatedPtrField<v1::File>& files,
                           int64_t memory_bytes) {
  if (files.empty()) return "";
  int64_t content = 0;
  int64_t needed = kInterpreterBytes;
  for (const v1::File& file : files) {
    const auto size = static_cast<int64_t>(file.content().size());
    content += size;
    needed += size + (size + kPageBytes - 1) / kPageBytes * kPageBytes + kEntryBytes;
  }
  if (needed <= memory_bytes) return "";
  return absl::StrCat("takes ", needed, " bytes of memory until it is placed (its ", content,
                      " bytes twice, and some); limits.memory_bytes is ", memory_bytes,
                      ": raise that, or write large files to a live sandbox");
}

}  // namespace cloister::core
