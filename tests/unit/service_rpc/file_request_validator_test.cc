#include "service/rpc/file_request_validator.h"

#include <gtest/gtest.h>

#include <string>

#include "service/core/error.h"

namespace cloister::rpc {
namespace {

v1::StatFileRequest StatOf(const std::string& path) {
  v1::StatFileRequest request;
  request.set_sandbox("sandboxes/a");
  request.set_path(path);
  return request;
}

v1::WriteFileRequest WriteOf(const std::string& path) {
  v1::WriteFileRequest request;
  request.set_sandbox("sandboxes/a");
  request.set_path(path);
  return request;
}

TEST(FileRequestValidatorTest, Paths) {
  std::string longest;
  while (longest.size() + 200 < 4096) longest += std::string(199, 'd') + "/";
  longest += std::string(4096 - longest.size(), 'f');
  for (const std::string& path :
       {std::string("a"), std::string("a/b.c/.d"), std::string("..."), longest}) {
    EXPECT_TRUE(Check(StatOf(path)).ok()) << path;
    EXPECT_TRUE(CheckFirst(WriteOf(path)).ok()) << path;
  }
  for (const std::string& path : {std::string("/a"), std::string("a/"), std::string("a//b"),
                                  std::string("."), std::string("a/.."), std::string("../a"),
                                  std::string("a\0b", 3), std::string(256, 'x'), longest + "f"}) {
    const absl::Status status = Check(StatOf(path));
    EXPECT_EQ(core::ReasonOf(status), v1::ERROR_REASON_FIELD_INVALID) << path;
    EXPECT_FALSE(CheckFirst(WriteOf(path)).ok()) << path;
  }
  // Empty is the workspace, where that makes sense.
  EXPECT_TRUE(Check(StatOf("")).ok());
  EXPECT_FALSE(CheckFirst(WriteOf("")).ok());
}

TEST(FileRequestValidatorTest, MessagesOfAWrite) {
  v1::WriteFileRequest request = WriteOf("a");
  request.set_data(std::string(kMaximumWriteBytes, 'x'));
  EXPECT_TRUE(CheckFirst(request).ok());
  request.mutable_data()->push_back('x');
  EXPECT_FALSE(CheckFirst(request).ok());
  EXPECT_FALSE(CheckNext(WriteOf("a")).ok());
  v1::WriteFileRequest next;
  EXPECT_TRUE(CheckNext(next).ok());
  next.set_must_not_exist(true);
  EXPECT_FALSE(CheckNext(next).ok());
}

TEST(FileRequestValidatorTest, RangesOfARead) {
  v1::ReadFileRequest request;
  request.set_sandbox("sandboxes/a");
  request.set_path("a");
  EXPECT_TRUE(Check(request).ok());
  request.set_offset(-1);
  EXPECT_FALSE(Check(request).ok());
  request.set_offset(INT64_MAX);
  request.set_length(INT64_MAX);
  EXPECT_TRUE(Check(request).ok());
  request.set_length(-1);
  EXPECT_FALSE(Check(request).ok());
}

TEST(FileRequestValidatorTest, PagesOfAList) {
  v1::ListFilesRequest request;
  request.set_sandbox("sandboxes/a");
  EXPECT_EQ(Check(request)->maximum_count(), 100);
  request.set_page_size(5000);
  EXPECT_EQ(Check(request)->maximum_count(), 1000);
  request.set_page_size(-1);
  EXPECT_FALSE(Check(request).ok());
  request.set_page_size(7);
  const std::string after = "d/\xff\n";
  request.set_page_token(PageTokenFor(after));
  EXPECT_EQ(Check(request)->after(), after);
  request.set_path("d");
  EXPECT_EQ(Check(request)->after(), after);
  request.set_path("e");
  EXPECT_FALSE(Check(request).ok());
  request.set_path("");
  for (const std::string& token : {std::string("*"), std::string(9000, 'A')}) {
    request.set_page_token(token);
    EXPECT_EQ(core::ReasonOf(Check(request).status()), v1::ERROR_REASON_FIELD_INVALID);
  }
}

TEST(FileRequestValidatorTest, NamesThatAreNoText) {
  EXPECT_EQ(ToUtf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
            "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
  const std::string wrong = "\xEF\xBF\xBD";
  EXPECT_EQ(ToUtf8("a\xFFz"), "a" + wrong + "z");
  EXPECT_EQ(ToUtf8("\xC3"), wrong);                          // cut short
  EXPECT_EQ(ToUtf8("\xC0\xAF"), wrong + wrong);              // overlong
  EXPECT_EQ(ToUtf8("\xE0\x80\x80"), wrong + wrong + wrong);  // overlong
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), wrong + wrong + wrong);  // a surrogate
  EXPECT_EQ(ToUtf8("\xF4\x90\x80\x80"), wrong + wrong + wrong + wrong);
  EXPECT_EQ(ToUtf8("\xE2\x82z"), wrong + wrong + "z");
}

TEST(FileRequestValidatorTest, TimesBeforeTheEpoch) {
  internal::v1::PathInfo info;
  info.set_path("a");
  info.set_kind(internal::v1::PathInfo::KIND_FILE);
  info.set_modify_time_nanoseconds(-1);
  const v1::FileInfo file = ToFileInfo(info);
  EXPECT_EQ(file.modify_time().seconds(), -1);
  EXPECT_EQ(file.modify_time().nanos(), 999'999'999);
}

}  // namespace
}  // namespace cloister::rpc
