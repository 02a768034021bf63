#include "sandbox/clone/varint.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

const char* Read(const std::string& bytes, uint64_t* number) {
  return ReadVarint(bytes.data(), bytes.data() + bytes.size(), number);
}

TEST(VarintTest, ReadsWhatItWrote) {
  std::vector<uint64_t> numbers = {0, kMaxVarint};
  for (int bit = 0; bit < 63; ++bit) {
    const uint64_t power = uint64_t{1} << bit;
    numbers.insert(numbers.end(), {power, power - 1, power | 1});
  }
  for (const uint64_t number : numbers) {
    std::string bytes;
    AppendVarint(number, &bytes);
    EXPECT_LE(bytes.size(), kMaxVarintBytes);
    uint64_t read = ~number;
    EXPECT_EQ(Read(bytes, &read), bytes.data() + bytes.size());
    EXPECT_EQ(read, number);
  }
}

TEST(VarintTest, WritesTheBytesOfTheSpecification) {
  const std::vector<std::pair<uint64_t, std::string>> cases = {
      {0, std::string(1, '\0')},
      {127, "\x7f"},
      {128, "\x80\x01"},
      {300, "\xac\x02"},
      {kMaxVarint, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}};
  for (const auto& [number, expected] : cases) {
    std::string bytes;
    AppendVarint(number, &bytes);
    EXPECT_EQ(bytes, expected);
  }
}

TEST(VarintTest, RefusesWhatIsCutTooLongOrNotShortest) {
  uint64_t number;
  for (const std::string& bytes :
       {std::string(), std::string("\x80"), std::string("\xff\xff"), std::string("\x80\x00", 2),
        std::string("\xff\x00", 2), std::string(9, '\xff') + "\x01", std::string(9, '\xff')}) {
    EXPECT_EQ(Read(bytes, &number), nullptr);
  }
}

}  // namespace
}  // namespace cloister::sandbox
