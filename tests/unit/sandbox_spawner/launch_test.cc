#include "sandbox/spawner/launch.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Facilities;
using internal::v1::ZygoteConfig;
using internal::v1::ZygoteSpec;
using ::testing::ElementsAre;
using ::testing::Pair;

Facilities Machine(Facilities::Setting setting, bool landlock) {
  Facilities facilities;
  facilities.set_setting(setting);
  auto* facility = facilities.add_facilities();
  facility->set_name("landlock");
  facility->set_available(landlock);
  facility = facilities.add_facilities();
  facility->set_name("seccomp");
  facility->set_available(true);
  return facilities;
}

TEST(GuestEnvironmentTest, HoldsNothingOfTheSpawners) {
  setenv("CLOISTER_SECRET", "1", 1);
  EXPECT_THAT(GuestEnvironment(Machine(Facilities::SETTING_ROOT, true), ZygoteSpec()),
              ElementsAre(Pair("HOME", "/workspace"), Pair("LANG", "C.UTF-8"),
                          Pair("LOGNAME", "sandbox"), Pair("PATH", "/usr/local/bin:/usr/bin:/bin"),
                          Pair("TMPDIR", "/tmp"), Pair("USER", "sandbox")));
}

TEST(GuestEnvironmentTest, TemplatesAddAndReplace) {
  ZygoteSpec spec;
  (*spec.mutable_environment())["LANG"] = "de_DE.UTF-8";
  (*spec.mutable_environment())["MPLBACKEND"] = "agg";
  const auto environment = GuestEnvironment(Machine(Facilities::SETTING_ROOT, true), spec);
  EXPECT_EQ(environment.at("LANG"), "de_DE.UTF-8");
  EXPECT_EQ(environment.at("MPLBACKEND"), "agg");
  EXPECT_EQ(environment.at("HOME"), "/workspace");
}

TEST(MakeZygoteConfigTest, AsksForEveryLayerThereIs) {
  const ZygoteConfig config =
      MakeZygoteConfig(Machine(Facilities::SETTING_ROOT, true), ZygoteSpec(), "");
  EXPECT_TRUE(config.namespaces());
  EXPECT_TRUE(config.landlock());
  EXPECT_TRUE(config.seccomp());
  EXPECT_NE(config.sandbox_uid(), 0);
  EXPECT_GT(config.sandbox_uid_count(), 10'000);
}

TEST(MakeZygoteConfigTest, RootlessAllHaveTheOneIdThereIs) {
  EXPECT_EQ(MakeZygoteConfig(Machine(Facilities::SETTING_ROOTLESS, true), ZygoteSpec(), "")
                .sandbox_uid_count(),
            1);
}

TEST(MakeZygoteConfigTest, TheGuestHasNoEnvironmentButThis) {
  ZygoteSpec spec;
  (*spec.mutable_environment())["LANG"] = "de_DE.UTF-8";
  const ZygoteConfig config = MakeZygoteConfig(Machine(Facilities::SETTING_ROOT, true), spec, "");
  EXPECT_EQ(config.spec().environment().at("LANG"), "de_DE.UTF-8");
  EXPECT_EQ(config.spec().environment().at("PATH"), "/usr/local/bin:/usr/bin:/bin");
}

TEST(MakeZygoteConfigTest, LeavesOutWhatIsMissing) {
  const ZygoteConfig config =
      MakeZygoteConfig(Machine(Facilities::SETTING_CONTAINER, false), ZygoteSpec(), "");
  EXPECT_FALSE(config.namespaces());
  EXPECT_FALSE(config.landlock());
  EXPECT_TRUE(config.seccomp());
}

TEST(MakeZygoteConfigTest, TellsWhereTheImageAndTheFilesAre) {
  ZygoteSpec spec;
  spec.set_image_root("/images/one");
  const ZygoteConfig mounted =
      MakeZygoteConfig(Machine(Facilities::SETTING_ROOTLESS, true), spec, "");
  EXPECT_EQ(mounted.spec().image_root(), "/");
  EXPECT_EQ(mounted.scratch_directory(), "");
  const ZygoteConfig container =
      MakeZygoteConfig(Machine(Facilities::SETTING_CONTAINER, true), spec, "/scratch");
  EXPECT_EQ(container.spec().image_root(), "/images/one");
  EXPECT_EQ(container.scratch_directory(), "/scratch");
  EXPECT_EQ(container.spec().environment().at("PYTHONTZPATH"), "/images/one/usr/share/zoneinfo");
}

// tmpfs takes 0 for "no limit": an unset size must never reach it.
TEST(MakeZygoteConfigTest, AlwaysBoundsTheWorkspace) {
  ZygoteSpec spec;
  const Facilities machine = Machine(Facilities::SETTING_ROOT, true);
  EXPECT_GT(MakeZygoteConfig(machine, spec, "").spec().default_workspace_bytes(), 0);
  spec.set_default_workspace_bytes(4096);
  EXPECT_EQ(MakeZygoteConfig(machine, spec, "").spec().default_workspace_bytes(), 4096);
}

TEST(LaunchGuestTest, RefusesAMachineWithNeitherNamespacesNorScopes) {
  const auto nursery = LaunchGuest(Machine(Facilities::SETTING_CONTAINER, true), ZygoteSpec());
  EXPECT_EQ(nursery.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(nursery.status().message(), ::testing::HasSubstr("namespaces need"));
}

TEST(LaunchGuestTest, RefusesABinaryThatNotEverybodyMayRun) {
  ZygoteSpec spec;
  spec.set_guest_binary("/etc/passwd");
  const auto nursery = LaunchGuest(Machine(Facilities::SETTING_ROOT, true), spec);
  EXPECT_EQ(nursery.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(nursery.status().message(), ::testing::HasSubstr("chmod 755"));
}

}  // namespace
}  // namespace cloister::sandbox
