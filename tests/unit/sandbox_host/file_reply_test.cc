#include "sandbox/host/file_reply.h"

#include <gtest/gtest.h>

#include <string>

namespace cloister::sandbox {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using internal::v1::PathInfo;

class FileReplyTest : public ::testing::Test {
 protected:
  FileReplyTest() {
    request_.set_number(7);
    reply_.set_number(7);
  }
  PathInfo* Add(const std::string& path, PathInfo::Kind kind = PathInfo::KIND_FILE) {
    PathInfo* info = reply_.add_infos();
    info->set_path(path);
    info->set_kind(kind);
    return info;
  }
  void AskForList(const std::string& path, bool recursive, const std::string& after = "") {
    request_.mutable_list()->set_path(path);
    request_.mutable_list()->set_is_recursive(recursive);
    request_.mutable_list()->set_after(after);
    request_.mutable_list()->set_maximum_count(3);
  }
  bool IsFine() const { return CheckFileReply(request_, reply_).ok(); }

  FileRequest request_;
  FileReply reply_;
};

TEST_F(FileReplyTest, NumberAndErrorHaveToBePossible) {
  request_.mutable_close();
  EXPECT_TRUE(IsFine());
  reply_.set_number(8);
  EXPECT_FALSE(IsFine());
  reply_.set_number(7);
  for (const int error : {-1, 4096}) {
    reply_.set_error_number(error);
    EXPECT_FALSE(IsFine()) << error;
  }
  reply_.set_error_number(5);
  EXPECT_TRUE(IsFine());
  reply_.set_data("and yet");
  EXPECT_FALSE(IsFine());
}

TEST_F(FileReplyTest, NoMoreDataThanAskedFor) {
  request_.mutable_read_part()->set_length(3);
  reply_.set_data("abc");
  EXPECT_TRUE(IsFine());
  reply_.set_data("abcd");
  EXPECT_FALSE(IsFine());
  reply_.set_data("");
  Add("a");
  EXPECT_FALSE(IsFine());
}

TEST_F(FileReplyTest, OnlyListsAreAnsweredWithLists) {
  request_.mutable_write_part();
  EXPECT_TRUE(IsFine());
  reply_.set_is_partial(true);
  EXPECT_FALSE(IsFine());
  reply_.set_is_partial(false);
  reply_.set_data("x");
  EXPECT_FALSE(IsFine());
  request_.mutable_remove();
  reply_.clear_data();
  reply_.set_is_partial(true);
  EXPECT_TRUE(IsFine());
}

TEST_F(FileReplyTest, StatTellsOfWhatItWasAsked) {
  request_.mutable_stat()->set_path("a/b");
  EXPECT_FALSE(IsFine());
  Add("a/b")->set_size_bytes(5);
  EXPECT_TRUE(IsFine());
  reply_.mutable_infos(0)->set_path("a/c");
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(0)->set_path("a/b");
  reply_.mutable_infos(0)->set_size_bytes(-1);
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(0)->set_size_bytes(5);
  reply_.mutable_infos(0)->set_kind(PathInfo::KIND_DIRECTORY);
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(0)->set_size_bytes(0);
  EXPECT_TRUE(IsFine());
  reply_.mutable_infos(0)->set_kind(PathInfo::KIND_UNSPECIFIED);
  EXPECT_FALSE(IsFine());
}

TEST_F(FileReplyTest, OnlyFilesAreOpened) {
  request_.mutable_open_to_read()->set_path("a");
  Add("a", PathInfo::KIND_DIRECTORY);
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(0)->set_kind(PathInfo::KIND_FILE);
  EXPECT_TRUE(IsFine());
}

TEST_F(FileReplyTest, ListedPathsLieInTheDirectoryAndRise) {
  AskForList("d", false);
  Add("d/a");
  Add("d/b");
  EXPECT_TRUE(IsFine());
  for (const char* path : {"d/a", "d", "d/", "e/x", "d/../x", "d/b/c", "/d/c", "d//c", "d/.", ""}) {
    reply_.mutable_infos(1)->set_path(path);
    EXPECT_FALSE(IsFine()) << path;
  }
  reply_.mutable_infos(1)->set_path(std::string("d/x\0y", 5));
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(1)->set_path("d/" + std::string(256, 'x'));
  EXPECT_FALSE(IsFine());
  reply_.mutable_infos(1)->set_path("d/b/c");
  request_.mutable_list()->set_is_recursive(true);
  EXPECT_TRUE(IsFine());
  request_.mutable_list()->set_after("d/a");
  EXPECT_FALSE(IsFine());
}

TEST_F(FileReplyTest, NoMorePathsThanAskedFor) {
  AskForList("", false);
  for (const char* path : {"a", "b", "c"}) Add(path);
  EXPECT_TRUE(IsFine());
  Add("d");
  EXPECT_FALSE(IsFine());
}

TEST_F(FileReplyTest, PagesGoOn) {
  AskForList("", false, "b");
  Add("c");
  reply_.set_is_partial(true);
  EXPECT_FALSE(IsFine());
  for (const char* after : {"a", "b", "bb"}) {
    reply_.set_continue_after(after);
    EXPECT_FALSE(IsFine()) << after;
  }
  for (const char* after : {"c", "d"}) {
    reply_.set_continue_after(after);
    EXPECT_TRUE(IsFine()) << after;
  }
  reply_.set_is_partial(false);
  EXPECT_FALSE(IsFine());
}

}  // namespace
}  // namespace cloister::sandbox
