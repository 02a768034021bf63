// What holds for every clone and every Value, shown of many that are made at random, always the
// same ones.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "sandbox/clone/check.h"
#include "sandbox/clone/value.h"
#include "tests/unit/sandbox_clone/clone_builder.h"
#include "tests/unit/sandbox_clone/random_clone.h"

namespace cloister::sandbox {
namespace {

constexpr int kClones = 500;

CheckedClone Check(const std::string& clone) {
  auto checked = CheckClone(clone, kValueCloneLimits, CloneBuffers::kInline);
  EXPECT_TRUE(checked.ok()) << checked.status();
  return checked.ok() ? *std::move(checked) : CheckedClone{};
}

std::vector<CloneToken> Tokens(std::string_view value) {
  std::vector<CloneToken> tokens;
  for (size_t offset = 0; offset < value.size();) {
    EXPECT_TRUE(ReadCloneToken(value, &offset, &tokens.emplace_back()).ok());
  }
  return tokens;
}

std::string BufferContent(const std::string& clone, const CheckedClone& checked) {
  std::string content;
  for (const CloneBuffer& buffer : checked.parts.buffers) {
    content += std::to_string(buffer.size) + ":" + clone.substr(buffer.offset, buffer.size);
  }
  return content;
}

// That `normal` is `clone` with numbers for what is referred to alone.
void ExpectNormalForm(const std::string& clone, const std::string& normal) {
  const CheckedClone before = Check(clone);
  const CheckedClone after = Check(normal);
  const std::vector<CloneToken> given = Tokens(before.parts.value);
  const std::vector<CloneToken> made = Tokens(after.parts.value);
  ASSERT_EQ(given.size(), made.size());
  std::vector<size_t> new_numbers;
  size_t next = 0;
  for (size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(given[i].tag, made[i].tag);
    EXPECT_EQ(given[i].kind, made[i].kind);
    EXPECT_EQ(given[i].bytes, made[i].bytes);
    const bool is_reference = given[i].tag == CloneTag::kReference;
    EXPECT_EQ(is_reference ? new_numbers[given[i].number] : given[i].number, made[i].number);
    if (!given[i].numbered) continue;
    const bool is_kept = before.referenced[new_numbers.size()];
    EXPECT_EQ(made[i].numbered, is_kept);
    new_numbers.push_back(next);
    if (is_kept) ++next;
  }
  EXPECT_EQ(BufferContent(clone, before), BufferContent(normal, after));
}

// That a clone becomes a Value and back without loss, and that nothing changes the second time.
void ExpectRoundTrip(const std::string& clone) {
  const auto value = ValueFromClone(clone, kValueCloneLimits);
  ASSERT_TRUE(value.ok()) << value.status();
  v1::Value sent;
  ASSERT_TRUE(sent.ParseFromString(value->SerializeAsString())) << "deeper than parsers go";
  const auto normal = CloneFromValue(sent, kValueCloneLimits);
  ASSERT_TRUE(normal.ok()) << normal.status();
  ExpectNormalForm(clone, *normal);
  const auto again = ValueFromClone(*normal, kValueCloneLimits);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), value->SerializeAsString());
}

// Writes something else over a few bytes.
void Damage(std::mt19937* random, std::string* bytes) {
  for (size_t times = 1 + (*random)() % 3; times > 0; --times) {
    (*bytes)[(*random)() % bytes->size()] = static_cast<char>((*random)());
  }
}

TEST(ClonePropertyTest, ClonesBecomeValuesAndBack) {
  RandomClone clones(1);
  uint64_t tags = 0;
  uint64_t kinds = 0;
  for (int i = 0; i < kClones; ++i) {
    const std::string clone = clones.Make();
    for (const CloneToken& token : Tokens(Check(clone).parts.value)) {
      tags |= uint64_t{1} << static_cast<int>(token.tag);
      if (token.tag == CloneTag::kObject) kinds |= uint64_t{1} << static_cast<int>(token.kind);
    }
    ExpectRoundTrip(clone);
    if (HasFailure()) return;
  }
  EXPECT_EQ(tags, (uint64_t{1} << kCloneTagCount) - 1);
  EXPECT_EQ(kinds, (uint64_t{1} << static_cast<int>(CloneKind::kSharedBuffer)) - 1);
}

// Whether a clone names nothing outside of it.
bool IsSelfContained(const CheckedClone& checked) {
  for (const CloneBuffer& buffer : checked.parts.buffers) {
    if (buffer.source != CloneBufferSource::kInline) return false;
  }
  for (const CloneToken& token : Tokens(checked.parts.value)) {
    if (token.tag == CloneTag::kObject && IsHandle(token.kind)) return false;
  }
  return true;
}

// Inside the sandbox everything goes; across its border what has nothing outside itself.
void ExpectBorder(const std::string& clone, const CheckedClone& checked) {
  const bool leaves = CheckClone(clone, kValueCloneLimits, CloneBuffers::kInline).ok();
  EXPECT_EQ(leaves, IsSelfContained(checked));
  EXPECT_EQ(ValueFromClone(clone, kValueCloneLimits).ok(), leaves);
}

TEST(ClonePropertyTest, HandlesStayInTheirSandbox) {
  RandomClone clones(5, RandomClone::Handles::kSome);
  std::mt19937 random(5);
  uint64_t kinds = 0;
  size_t descriptors = 0;
  int damaged_handles = 0;
  for (int i = 0; i < kClones; ++i) {
    const std::string clone = clones.Make();
    const auto checked = CheckClone(clone, kValueCloneLimits, CloneBuffers::kAny);
    ASSERT_TRUE(checked.ok()) << checked.status();
    ExpectBorder(clone, *checked);
    descriptors += checked->parts.descriptor_count;
    for (const CloneToken& token : Tokens(checked->parts.value)) {
      if (token.tag == CloneTag::kObject) kinds |= uint64_t{1} << static_cast<int>(token.kind);
    }
    for (int j = 0; j < 20; ++j) {
      std::string damaged = clone;
      Damage(&random, &damaged);
      const auto taken = CheckClone(damaged, kValueCloneLimits, CloneBuffers::kAny);
      if (!taken.ok()) continue;
      ExpectBorder(damaged, *taken);
      damaged_handles += taken->parts.descriptor_count > 0 ? 1 : 0;
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(kinds, (uint64_t{1} << kCloneKindCount) - 1);
  EXPECT_GT(descriptors, kClones);
  EXPECT_GT(damaged_handles, kClones);
}

TEST(ClonePropertyTest, DamagedClonesAreRefusedOrClones) {
  RandomClone clones(2);
  std::mt19937 random(2);
  int accepted = 0;
  for (int i = 0; i < kClones; ++i) {
    const std::string clone = clones.Make();
    for (int j = 0; j < 20; ++j) {
      std::string damaged = clone;
      Damage(&random, &damaged);
      if (!CheckClone(damaged, kValueCloneLimits, CloneBuffers::kInline).ok()) continue;
      ++accepted;
      ExpectRoundTrip(damaged);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(accepted, kClones);
}

TEST(ClonePropertyTest, DamagedValuesAreRefusedOrClones) {
  RandomClone clones(3);
  std::mt19937 random(3);
  int accepted = 0;
  for (int i = 0; i < kClones; ++i) {
    const std::string bytes = ValueFromClone(clones.Make(), kValueCloneLimits)->SerializeAsString();
    for (int j = 0; j < 20; ++j) {
      std::string damaged = bytes;
      Damage(&random, &damaged);
      v1::Value value;
      if (!value.ParseFromString(damaged)) continue;
      const auto clone = CloneFromValue(value, kValueCloneLimits);
      if (!clone.ok()) continue;
      ++accepted;
      ExpectRoundTrip(*clone);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(accepted, kClones);
}

TEST(ClonePropertyTest, NothingThatIsCutShortIsAClone) {
  RandomClone clones(4);
  for (int i = 0; i < 200; ++i) {
    const std::string clone = clones.Make();
    for (size_t size = 0; size < clone.size(); ++size) {
      EXPECT_FALSE(CheckClone(std::string_view(clone).substr(0, size), kValueCloneLimits,
                              CloneBuffers::kInline)
                       .ok());
    }
  }
}

}  // namespace
}  // namespace cloister::sandbox
