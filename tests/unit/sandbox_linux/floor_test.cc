#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sandbox/linux/feature_probe.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Facilities;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

Facilities Machine(const std::string& missing) {
  Facilities facilities;
  for (const std::string_view name : LayerNames()) {
    auto* facility = facilities.add_facilities();
    facility->set_name(std::string(name));
    facility->set_available(name != missing);
    if (name == missing) facility->set_detail("no such thing: buy one");
  }
  return facilities;
}

TEST(Floor, IsMetByAMachineThatHasEverything) {
  EXPECT_THAT(MissingFromFloor(Machine(""), DefaultFloor(Facilities::SETTING_ROOT)), IsEmpty());
}

TEST(Floor, NamesEveryMissingLayerWithItsRemedy) {
  for (const std::string& name : DefaultFloor(Facilities::SETTING_ROOT)) {
    EXPECT_THAT(MissingFromFloor(Machine(name), DefaultFloor(Facilities::SETTING_ROOT)),
                ElementsAre(name + ": no such thing: buy one"));
  }
}

TEST(Floor, TakesNoNameOnTrust) {
  EXPECT_THAT(MissingFromFloor(Machine(""), {"secomp"}),
              ElementsAre("secomp: there is no such layer"));
  EXPECT_THAT(MissingFromFloor(Facilities(), {"seccomp"}),
              ElementsAre("seccomp: there is no such layer"));
}

TEST(Floor, MayBeEmptyIfAskedFor) { EXPECT_THAT(MissingFromFloor(Facilities(), {}), IsEmpty()); }

TEST(Floor, LeavesCgroupsToRoot) {
  EXPECT_THAT(DefaultFloor(Facilities::SETTING_ROOT), Contains("cgroup_memory"));
  const auto rootless = DefaultFloor(Facilities::SETTING_ROOTLESS);
  EXPECT_THAT(rootless, Not(Contains("cgroup_memory")));
  EXPECT_THAT(rootless, Contains("cgroup_namespace"));
  EXPECT_THAT(rootless, Contains("seccomp"));
}

TEST(Floor, IsOutOfReachWithoutNamespacesUnlessConfigured) {
  EXPECT_THAT(DefaultFloor(Facilities::SETTING_CONTAINER), Contains("user_namespace"));
}

}  // namespace
}  // namespace cloister::sandbox
