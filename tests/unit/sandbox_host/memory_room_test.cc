#include "sandbox/host/memory_room.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace cloister::sandbox {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

UniqueFd FileWith(const std::string& text) {
  UniqueFd fd(memfd_create("cgroup file", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

MemoryRoom RoomWith(int64_t usage, const std::string& stat) {
  return MemoryRoom(FileWith(std::to_string(usage) + "\n"), FileWith(stat));
}

TEST(MemoryRoomTest, IsWhatUseAndReserveLeave) {
  const MemoryRoom room = RoomWith(20 * kMiB, "anon 7\ninactive_file 0\nactive_file 0\n");
  EXPECT_EQ(MemoryRoom::ReserveOf(64 * kMiB), 4 * kMiB);
  EXPECT_TRUE(room.Has(40 * kMiB, 64 * kMiB));
  EXPECT_FALSE(room.Has(40 * kMiB + 1, 64 * kMiB));
  EXPECT_FALSE(room.Has(1, 16 * kMiB));
}

TEST(MemoryRoomTest, SmallSandboxesKeepLess) {
  EXPECT_EQ(MemoryRoom::ReserveOf(8 * kMiB), kMiB);
  EXPECT_EQ(MemoryRoom::ReserveOf(16 * kMiB), 2 * kMiB);
  EXPECT_EQ(MemoryRoom::ReserveOf(int64_t{1} << 40), 4 * kMiB);
}

// As of files of the image that nobody else had read.
TEST(MemoryRoomTest, PagesThatTheKernelTakesBackAreRoom) {
  const MemoryRoom room = RoomWith(60 * kMiB,
                                   "inactive_anon 41943040\ninactive_file 10485760\n"
                                   "active_file 5242880\ntotal_inactive_file 10485760\n");
  EXPECT_TRUE(room.Has(15 * kMiB, 64 * kMiB));
  EXPECT_FALSE(room.Has(15 * kMiB + 1, 64 * kMiB));
}

TEST(MemoryRoomTest, WithoutAGroupThereIsRoom) {
  EXPECT_TRUE(MemoryRoom(UniqueFd(), UniqueFd()).Has(INT64_MAX, 1));
  EXPECT_TRUE(RoomWith(1, "").Has(kMiB, 8 * kMiB));
  EXPECT_FALSE(RoomWith(8 * kMiB, "").Has(kMiB, 8 * kMiB));
  // The group is gone.
  EXPECT_TRUE(MemoryRoom(FileWith(""), FileWith("")).Has(kMiB, 8 * kMiB));
}

}  // namespace
}  // namespace cloister::sandbox
