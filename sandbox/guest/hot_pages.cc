#include "sandbox/guest/hot_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sandbox/base/syscall_status.h"
#include "sandbox/guest/memory_map.h"

namespace cloister::sandbox {
namespace {

// Bits of an entry of /proc/self/pagemap.
constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kMappedOnce = uint64_t{1} << 56;

void AddPage(uintptr_t page, bool written, std::vector<PageRange>* ranges) {
  if (!ranges->empty() && ranges->back().end == page && ranges->back().written == written) {
    ranges->back().end += kPageBytes;
  } else {
    ranges->push_back({page, page + kPageBytes, written});
  }
}

}  // namespace

absl::StatusOr<PageWatch> PageWatch::Prepare() {
  std::vector<Mapping> mappings = PrivateMappings();
  // A fork copies the page tables of memory: what is only read of it is there already.
  std::erase_if(mappings, [](const Mapping& mapping) {
    return !mapping.writable && mapping.file.empty();
  });
  size_t size = 0;
  for (const Mapping& mapping : mappings) size += mapping.pages() * sizeof(uint64_t);
  void* entries = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (entries == MAP_FAILED) return SyscallError("map the record of pages");
  return PageWatch(std::move(mappings), static_cast<uint64_t*>(entries), size);
}

PageWatch::PageWatch(std::vector<Mapping> mappings, uint64_t* entries, size_t size)
    : mappings_(std::move(mappings)), entries_(entries), size_(size) {}

PageWatch::PageWatch(PageWatch&& other) noexcept
    : mappings_(std::move(other.mappings_)),
      entries_(std::exchange(other.entries_, nullptr)),
      size_(other.size_) {}

PageWatch::~PageWatch() {
  if (entries_ != nullptr) munmap(entries_, size_);
}

bool PageWatch::Record() {
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return false;
  uint64_t* next = entries_;
  for (const Mapping& mapping : mappings_) {
    const size_t size = mapping.pages() * sizeof(uint64_t);
    const auto offset = static_cast<off_t>(mapping.begin / kPageBytes * sizeof(uint64_t));
    if (pread(pagemap, next, size, offset) != static_cast<ssize_t>(size)) return false;
    next += mapping.pages();
  }
  return close(pagemap) == 0;
}

std::vector<PageRange> PageWatch::Touched() const {
  std::vector<PageRange> ranges;
  const uint64_t* entry = entries_;
  for (const Mapping& mapping : mappings_) {
    for (uintptr_t page = mapping.begin; page < mapping.end; page += kPageBytes, ++entry) {
      // A page of a writable mapping that is mapped once is a copy of the clone's own.
      const bool touched =
          (*entry & kPresent) != 0 && (!mapping.writable || (*entry & kMappedOnce) != 0);
      if (touched) AddPage(page, mapping.writable, &ranges);
    }
  }
  return ranges;
}

void TouchPages(const std::vector<PageRange>& ranges) {
  for (const PageRange& range : ranges) {
    for (uintptr_t page = range.begin; page < range.end; page += kPageBytes) {
      auto* byte = reinterpret_cast<volatile char*>(page);
      const char value = *byte;
      if (range.written) *byte = value;
    }
  }
}

}  // namespace cloister::sandbox
