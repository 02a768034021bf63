#include "sandbox/linux/process_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace cloister::sandbox {
namespace {

constexpr size_t kBytes = size_t{64} << 20;

TEST(ProcessMemoryTest, CountsWhatIsInPlace) {
  const auto before = AnonymousMemoryBytes(getpid());
  ASSERT_TRUE(before.ok()) << before.status();
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_LT(*AnonymousMemoryBytes(getpid()), *before + (16 << 20)) << "mapped, not in place";
  memset(memory, 1, kBytes);
  EXPECT_GT(*AnonymousMemoryBytes(getpid()), *before + (48 << 20));
  munmap(memory, kBytes);
  EXPECT_FALSE(AnonymousMemoryBytes(0x7ffffffe).ok());
}

}  // namespace
}  // namespace cloister::sandbox
