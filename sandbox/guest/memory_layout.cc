#include "sandbox/guest/memory_layout.h"

#include <sys/mman.h>

#include <algorithm>

#include "sandbox/guest/huge_pages.h"
#include "sandbox/guest/memory_map.h"

namespace cloister::sandbox {
namespace {

// What a small program hardly touches is not worth its page table entries in every clone, and large
// libraries are not worth the zygote's memory.
constexpr uintptr_t kWorthwhileShare = 16;
constexpr uintptr_t kMaxBytes = uintptr_t{16} << 20;
constexpr uintptr_t kWorthwhilePages = 64;

// Mappings of one file that lie side by side, none of them writable, at least one of them code.
std::vector<Mapping> TextOfFiles() {
  std::vector<Mapping> texts;
  for (Mapping& mapping : PrivateMappings()) {
    if (mapping.writable || mapping.file.empty()) continue;
    if (!texts.empty() && texts.back().end == mapping.begin && texts.back().file == mapping.file) {
      texts.back().end = mapping.end;
      texts.back().executable |= mapping.executable;
    } else {
      texts.push_back(std::move(mapping));
    }
  }
  std::erase_if(texts, [](const Mapping& text) { return !text.executable; });
  return texts;
}

uintptr_t HotBytes(const Mapping& text, const std::vector<PageRange>& hot) {
  uintptr_t bytes = 0;
  for (const PageRange& range : hot) {
    const uintptr_t begin = std::max(range.begin, text.begin);
    const uintptr_t end = std::min(range.end, text.end);
    if (begin < end) bytes += end - begin;
  }
  return bytes;
}

// Worth a huge page: the heap, and the data of libpython.
std::vector<Mapping> LargeWrittenMemory() {
  std::vector<Mapping> mappings = PrivateMappings();
  std::erase_if(mappings, [](const Mapping& mapping) {
    return !mapping.writable || mapping.pages() < kWorthwhilePages ||
           !(mapping.is_heap || !mapping.file.empty());
  });
  return mappings;
}

}  // namespace

void LayOutMemory(const std::vector<PageRange>& hot) {
  for (const Mapping& text : TextOfFiles()) {
    const uintptr_t size = text.end - text.begin;
    if (size <= kMaxBytes && HotBytes(text, hot) >= size / kWorthwhileShare) {
      MoveIntoHugePages(text.begin, text.end, PROT_READ | PROT_EXEC);
    }
  }
  for (const Mapping& memory : LargeWrittenMemory()) {
    if (memory.end - memory.begin <= kMaxBytes) {
      MoveIntoHugePages(memory.begin, memory.end, PROT_READ | PROT_WRITE);
    }
  }
}

}  // namespace cloister::sandbox
