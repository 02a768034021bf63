#include "clients/cli/commands/local_file.h"

#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "clients/cli/commands/request_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LocalFileTest : public testing::Test {
 protected:
  LocalFileTest() {
    std::string name = fs::temp_directory_path() / "cloister-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
  }
  ~LocalFileTest() override { fs::remove_all(directory_); }

  static std::string Contents(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path directory_;
};

TEST_F(LocalFileTest, TakesThePlaceOfAFileWhenItIsKept) {
  const fs::path path = directory_ / "file";
  std::ofstream(path) << "old";
  {
    auto dropped = LocalFile::Create(path);
    ASSERT_TRUE(dropped.ok() && dropped->Write("half").ok());
  }
  EXPECT_EQ(Contents(path), "old");
  ASSERT_TRUE(WriteFile(path, "new").ok());
  EXPECT_EQ(Contents(path), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "no temporary is left";
}

TEST_F(LocalFileTest, WritesThroughALinkToWhatItNames) {
  std::ofstream(directory_ / "file") << "old";
  fs::create_directory(directory_ / "below");
  fs::create_symlink("../file", directory_ / "below" / "link");
  ASSERT_TRUE(WriteFile(directory_ / "below" / "link", "new").ok());
  EXPECT_TRUE(fs::is_symlink(directory_ / "below" / "link"));
  EXPECT_EQ(Contents(directory_ / "file"), "new");

  fs::create_symlink("nowhere", directory_ / "lost");
  EXPECT_THAT(std::string(WriteFile(directory_ / "lost", "new").message()),
              HasSubstr("lost: is a symbolic link that leads nowhere"));
  EXPECT_FALSE(fs::exists(directory_ / "nowhere"));
}

TEST_F(LocalFileTest, WritesIntoAFifo) {
  const fs::path path = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = Contents(path); });
  EXPECT_TRUE(WriteFile(path, "through").ok());
  reader.join();
  EXPECT_EQ(read, "through");
  EXPECT_TRUE(fs::is_fifo(path));
}

TEST_F(LocalFileTest, WritesIntoADevice) {
  // A link, so that a mistake here costs no device node.
  fs::create_symlink("/dev/null", directory_ / "null");
  EXPECT_TRUE(WriteFile(directory_ / "null", "gone").ok());
  EXPECT_TRUE(fs::is_symlink(directory_ / "null"));
  fs::create_symlink("/dev/full", directory_ / "full");
  EXPECT_THAT(std::string(WriteFile(directory_ / "full", "more").message()),
              HasSubstr("No space left on device"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(LocalFileTest, RefusesDirectoriesAndSockets) {
  EXPECT_THAT(std::string(WriteFile(directory_, "x").message()), HasSubstr("Is a directory"));
  const fs::path path = directory_ / "socket";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(std::string(WriteFile(path, "x").message()), HasSubstr("is a socket"));
  EXPECT_TRUE(fs::is_socket(path));
  ::close(fd);
}

TEST_F(LocalFileTest, ATargetIsAFileADirectoryForItOrStandardOutput) {
  EXPECT_EQ(LocalTarget("", "name"), "name");
  EXPECT_EQ(LocalTarget("-", "name"), "-");
  EXPECT_EQ(LocalTarget("other", "name"), "other");
  EXPECT_EQ(LocalTarget(directory_, "name"), (directory_ / "name").string());
}

}  // namespace
}  // namespace cloister::cli
