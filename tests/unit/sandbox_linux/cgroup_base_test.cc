#include "sandbox/linux/cgroup_base.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

// Of plain directories; the first ones made are removed before anybody can lock them, as another
// spawner's start would.
class TakenAwayTree final : public CgroupTree {
 public:
  explicit TakenAwayTree(int times) : times_(times) {}

  absl::Status MakeDirectory(const std::string& path) override {
    const absl::Status made = CgroupTree::MakeDirectory(path);
    if (made.ok() && times_-- > 0) std::filesystem::remove(path);
    return made;
  }

 private:
  int times_;
};

class CgroupBaseTest : public ::testing::Test {
 protected:
  CgroupBaseTest() : parent_(absl::StrCat(::testing::TempDir(), "/cgroup_base_test.", ::getpid())) {
    std::filesystem::create_directory(parent_);
  }
  ~CgroupBaseTest() override { std::filesystem::remove_all(parent_); }

  const std::string parent_;
};

TEST_F(CgroupBaseTest, IsMadeAgainWhereAnotherStartRemovedIt) {
  const auto base = CgroupBase::Make(std::make_shared<TakenAwayTree>(3), parent_);
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_TRUE(std::filesystem::is_directory((*base)->path()));
}

TEST_F(CgroupBaseTest, TakesAwayWhatIsAbandonedOnly) {
  std::filesystem::create_directory(parent_ + "/cloister-1");
  std::filesystem::create_directory(parent_ + "/other");
  auto base = CgroupBase::Make(std::make_shared<TakenAwayTree>(0), parent_);
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_FALSE(std::filesystem::exists(parent_ + "/cloister-1"));
  EXPECT_TRUE(std::filesystem::exists(parent_ + "/other"));
  const std::string path = (*base)->path();
  base->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace cloister::sandbox
