// The smaller parts of the server: images, sockets, readiness, exit events.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/server/config.h"
#include "service/server/exit_events.h"
#include "service/server/image_catalog.h"
#include "service/server/info.h"
#include "service/server/options.h"
#include "service/server/readiness.h"
#include "service/server/unix_listener.h"

namespace cloister::server {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    char pattern[] = "/tmp/cloister-server-test.XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~ScratchDirectory() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

constexpr char kManifest[] =
    R"({"name": "py", "python_version": "3.14.9", "packages": ["b 2", "a 1"], "built_at": "x"})";

TEST(ImageCatalogTest, ReadsAManifest) {
  const auto image = ParseManifest(kManifest);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->name, "py");
  EXPECT_EQ(image->python_version, "3.14.9");
  EXPECT_THAT(image->packages, ElementsAre("a 1", "b 2"));
}

TEST(ImageCatalogTest, SaysWhatAManifestLacks) {
  EXPECT_FALSE(ParseManifest("").ok());
  EXPECT_FALSE(ParseManifest("[]").ok());
  EXPECT_THAT(std::string(ParseManifest(R"({"name": "a"})").status().message()),
              HasSubstr("python_version"));
  EXPECT_THAT(std::string(ParseManifest(R"({"name": "a", "python_version": "3", "packages": [1]})")
                              .status()
                              .message()),
              HasSubstr("package"));
}

TEST(ImageCatalogTest, NamesEveryMissingImageAndGuest) {
  ScratchDirectory directory;
  fs::create_directories(directory.path() + "/py");
  std::ofstream(directory.path() + "/py/manifest.json") << kManifest;
  internal::v1::ServerConfig config;
  config.set_image_directory(directory.path());
  config.set_guest_directory(directory.path());
  config.add_templates()->set_name("py");
  config.add_templates()->set_name("absent");
  FillDefaults(&config);
  const auto missing = LoadImages(config);
  ASSERT_FALSE(missing.ok());
  const std::string message(missing.status().message());
  EXPECT_THAT(message, HasSubstr("cloister-guest-py"));
  EXPECT_THAT(message, HasSubstr("deploy/images/build.sh absent"));

  config.mutable_templates()->RemoveLast();
  const std::string guest = directory.path() + "/cloister-guest-py";
  std::ofstream(guest) << "x";
  fs::permissions(guest, fs::perms::all);
  const auto images = LoadImages(config);
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->front().root, directory.path() + "/py/rootfs");
  EXPECT_EQ(images->front().guest_binary, guest);
}

TEST(ImageCatalogTest, KeepsTheVersionItFoundAndLocksIt) {
  ScratchDirectory directory;
  for (const char* version : {"py.1", "py.2"}) {
    fs::create_directories(directory.path() + "/.versions/" + version);
    std::ofstream(directory.path() + "/.versions/" + version + "/manifest.json") << kManifest;
  }
  fs::create_directory_symlink(".versions/py.1", directory.path() + "/py");
  const std::string guest = directory.path() + "/cloister-guest-py";
  std::ofstream(guest) << "x";
  fs::permissions(guest, fs::perms::all);
  internal::v1::ServerConfig config;
  config.set_image_directory(directory.path());
  config.set_guest_directory(directory.path());
  config.add_templates()->set_name("py");
  FillDefaults(&config);
  auto images = LoadImages(config);
  ASSERT_TRUE(images.ok()) << images.status();
  fs::remove(directory.path() + "/py");
  fs::create_directory_symlink(".versions/py.2", directory.path() + "/py");
  EXPECT_EQ(images->front().root, directory.path() + "/.versions/py.1/rootfs");

  // As `build.sh --prune` tries it.
  const sandbox::UniqueFd manifest(
      ::open((directory.path() + "/.versions/py.1/manifest.json").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_NE(::flock(manifest.get(), LOCK_EX | LOCK_NB), 0);
  images->clear();
  EXPECT_EQ(::flock(manifest.get(), LOCK_EX | LOCK_NB), 0);
}

TEST(OptionsTest, GiveThePoolWhatTheConfigurationSays) {
  internal::v1::ServerConfig config;
  auto* entry = config.add_templates();
  entry->set_name("a");
  entry->add_warm_up_imports("json");
  (*entry->mutable_environment())["K"] = "v";
  entry->set_allow_subprocesses(true);
  entry->mutable_pool()->set_maximum(7);
  config.mutable_default_limits()->set_memory_bytes(1 << 20);
  FillDefaults(&config);
  const auto options = PoolOptionsOf(
      config,
      {{.name = "a", .root = "/r", .guest_binary = "/g", .python_version = "", .packages = {}, .lock = nullptr}},
      /*can_fork=*/true);
  ASSERT_EQ(options.pools.size(), 2u);
  EXPECT_FALSE(options.pools[0].zygote.spec.forkable());
  EXPECT_TRUE(options.pools[1].for_sessions);
  EXPECT_TRUE(options.pools[1].zygote.spec.forkable());
  const auto& spec = options.pools[0].zygote.spec;
  EXPECT_EQ(options.pools[0].maximum, 7);
  EXPECT_EQ(spec.template_name(), "a");
  EXPECT_EQ(spec.image_root(), "/r");
  EXPECT_EQ(spec.guest_binary(), "/g");
  EXPECT_EQ(spec.warm_up_imports(0), "json");
  EXPECT_EQ(spec.environment().at("K"), "v");
  EXPECT_TRUE(spec.allow_subprocesses());
  EXPECT_EQ(spec.default_limits().memory_bytes(), 1 << 20);
  EXPECT_EQ(spec.default_limits().process_count(), 64);
}

core::PoolState Healthy() {
  core::PoolState state;
  state.healthy = true;
  return state;
}

TEST(ReadinessTest, FollowsTheDefaultTemplate) {
  std::vector<bool> changes;
  Readiness readiness("a", [&changes](bool ready) { changes.push_back(ready); });
  EXPECT_FALSE(readiness.ready());
  EXPECT_NE(readiness.reason(), "");
  readiness.OnPoolState("b", Healthy());
  EXPECT_FALSE(readiness.ready());
  readiness.OnPoolState("a", Healthy());
  readiness.OnPoolState("a", Healthy());
  EXPECT_TRUE(readiness.ready());
  EXPECT_EQ(readiness.reason(), "");
  core::PoolState broken;
  broken.not_healthy_reason = "no memory";
  readiness.OnPoolState("a", broken);
  EXPECT_EQ(readiness.reason(), "no memory");
  EXPECT_THAT(changes, ElementsAre(true, false));
}

TEST(ReadinessTest, NeverComesBackFromADrain) {
  Readiness readiness("a", [](bool) {});
  readiness.OnPoolState("a", Healthy());
  readiness.BeginDrain();
  readiness.OnPoolState("a", Healthy());
  EXPECT_FALSE(readiness.ready());
}

TEST(ReadinessTest, NeverComesBackFromALostSpawner) {
  Readiness readiness("a", [](bool) {});
  readiness.OnPoolState("a", Healthy());
  readiness.OnSpawnerLost("killed");
  readiness.OnPoolState("a", Healthy());
  EXPECT_FALSE(readiness.ready());
  EXPECT_THAT(readiness.reason(), HasSubstr("killed"));
}

TEST(InfoTest, TellsTheReasonAndThePool) {
  Readiness readiness("a", [](bool) {});
  v1::GetInfoResponse info;
  info.add_templates()->set_python_version("from the manifest");
  core::PoolState state;
  state.ready = 3;
  state.waiting = 2;
  core::PoolState live;
  live.live = 7;
  AddCurrentInfo({{"a", state}}, {{"a", live}}, readiness, &info);
  EXPECT_EQ(info.templates(0).python_version(), "from the manifest");
  EXPECT_EQ(info.templates(0).pool().ready_count(), 3);
  EXPECT_EQ(info.templates(0).pool().waiting_count(), 2);
  EXPECT_FALSE(info.ready());
  EXPECT_NE(info.not_ready_reason(), "");
  EXPECT_EQ(info.templates(0).live_pool().live_count(), 7);
  state.python_version = "3.14.9";
  AddCurrentInfo({{"a", state}}, {{"a", live}}, readiness, &info);
  EXPECT_EQ(info.templates(0).python_version(), "3.14.9");
  EXPECT_EQ(info.templates(0).profiles_size(), 3);
  state.python_version = "3.13.5";
  AddCurrentInfo({{"a", state}}, {{"a", live}}, readiness, &info);
  ASSERT_EQ(info.templates(0).profiles_size(), 1);
  EXPECT_EQ(info.templates(0).profiles(0), v1::Interpreter::PROFILE_PROCESS);
}

TEST(ExitEventsTest, WakesForEventsAndSignals) {
  auto events = ExitEvents::Create();
  ASSERT_TRUE(events.ok()) << events.status();
  events->Notify(ExitEvent::kSpawnerLost);
  EXPECT_EQ(events->Wait(), ExitEvent::kSpawnerLost);
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(events->Wait(), ExitEvent::kSignal);
  std::thread other([&events] { events->Notify(ExitEvent::kDrained); });
  EXPECT_EQ(events->Wait(), ExitEvent::kDrained);
  other.join();
}

class UnixListenerTest : public ::testing::Test {
 protected:
  static ServiceUser Self() { return {::getuid(), ::getgid()}; }

  sandbox::UniqueFd Connect() {
    sandbox::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
      fd.reset();
    return fd;
  }

  ScratchDirectory directory_;
  const std::string path_ = directory_.path() + "/made/socket";
};

TEST_F(UnixListenerTest, MakesItsDirectoryAndLimitsItsMode) {
  const auto listener = UnixListener::Bind(path_, Self());
  ASSERT_TRUE(listener.ok()) << listener.status();
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
}

TEST_F(UnixListenerTest, DoesNotPushALivingServerAside) {
  const auto listener = UnixListener::Bind(path_, Self());
  ASSERT_TRUE(listener.ok());
  const auto second = UnixListener::Bind(path_, Self());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another server"));
}

TEST_F(UnixListenerTest, ReplacesASocketLeftBehind) {
  fs::create_directory(directory_.path() + "/made");
  const sandbox::UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(UnixListener::Bind(path_, Self()).ok());
}

TEST_F(UnixListenerTest, DoesNotRemoveAFile) {
  fs::create_directory(directory_.path() + "/made");
  std::ofstream(path_) << "precious";
  EXPECT_FALSE(UnixListener::Bind(path_, Self()).ok());
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(UnixListenerTest, NamesWhatIsMissing) {
  const auto listener = UnixListener::Bind(directory_.path() + "/a/b/c", Self());
  ASSERT_FALSE(listener.ok());
  EXPECT_THAT(std::string(listener.status().message()), HasSubstr(directory_.path() + "/a/b"));
}

TEST_F(UnixListenerTest, HandsConnectionsOverAndRemovesItsName) {
  auto listener = UnixListener::Bind(path_, Self());
  ASSERT_TRUE(listener.ok());
  sandbox::AsioLoop loop;
  int taken = 0;
  ASSERT_TRUE((*listener)
                  ->Accept(&loop,
                           [&](sandbox::UniqueFd connection) {
                             EXPECT_TRUE(static_cast<bool>(connection));
                             if (++taken == 3) loop.Stop();
                           })
                  .ok());
  const sandbox::UniqueFd clients[] = {Connect(), Connect(), Connect()};
  loop.Run();
  EXPECT_EQ(taken, 3);
  listener->reset();
  EXPECT_FALSE(fs::exists(path_));
}

}  // namespace
}  // namespace cloister::server
