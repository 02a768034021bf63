#include "sandbox/guest/hot_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace cloister::sandbox {
namespace {

constexpr uintptr_t kPageBytes = 4096;

// Bits of an entry of /proc/self/pagemap.
constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kMappedOnce = uint64_t{1} << 56;

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool writable = false;
};

std::vector<Mapping> PrivateMappings() {
  std::vector<Mapping> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char permissions[5] = {};
    if (sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &mapping.begin, &mapping.end,
               permissions) != 3) {
      continue;
    }
    // Shared memory is not copied; the kernel's own pages are always there.
    if (permissions[0] != 'r' || permissions[3] != 'p' || absl::StrContains(line, "[v")) continue;
    mapping.writable = permissions[1] == 'w';
    mappings.push_back(mapping);
  }
  return mappings;
}

void AddPage(uintptr_t page, bool written, std::vector<PageRange>* ranges) {
  if (!ranges->empty() && ranges->back().end == page && ranges->back().written == written) {
    ranges->back().end += kPageBytes;
  } else {
    ranges->push_back({page, page + kPageBytes, written});
  }
}

}  // namespace

absl::StatusOr<std::vector<PageRange>> FindTouchedPages() {
  const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) return SyscallError("open /proc/self/pagemap");
  std::vector<PageRange> ranges;
  for (const Mapping& mapping : PrivateMappings()) {
    std::vector<uint64_t> entries((mapping.end - mapping.begin) / kPageBytes);
    const size_t size = entries.size() * sizeof(uint64_t);
    const auto offset = static_cast<off_t>(mapping.begin / kPageBytes * sizeof(uint64_t));
    if (pread(pagemap.get(), entries.data(), size, offset) != static_cast<ssize_t>(size)) continue;
    for (size_t i = 0; i < entries.size(); ++i) {
      // A page of a writable mapping that is mapped once is a copy of this process's own.
      const bool touched =
          (entries[i] & kPresent) != 0 && (!mapping.writable || (entries[i] & kMappedOnce) != 0);
      if (touched) AddPage(mapping.begin + i * kPageBytes, mapping.writable, &ranges);
    }
  }
  return ranges;
}

void PopulatePages(const std::vector<PageRange>& ranges) {
  for (const PageRange& range : ranges) {
    void* begin = reinterpret_cast<void*>(range.begin);
    const int advice = range.written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    // A range that is gone by now is no reason to leave the others.
    if (madvise(begin, range.end - range.begin, advice) != 0 && errno == EINVAL) return;
  }
}

}  // namespace cloister::sandbox
