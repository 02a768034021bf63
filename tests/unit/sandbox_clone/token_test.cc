#include "sandbox/clone/token.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/sandbox_clone/clone_builder.h"

namespace cloister::sandbox {
namespace {

std::string Raw(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string ReadError(const std::string& bytes) {
  size_t offset = 0;
  CloneToken token;
  const absl::Status status = ReadCloneToken(bytes, &offset, &token);
  return status.ok() ? "OK" : std::string(status.message());
}

struct Form {
  CloneToken token;
  std::string_view hex;
};

TEST(CloneTokenTest, EveryTagHasTheBytesOfTheSpecification) {
  const std::string nine("\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9);
  const std::vector<Form> forms = {
      {{.tag = CloneTag::kNone}, "00"},
      {{.tag = CloneTag::kFalse}, "01"},
      {{.tag = CloneTag::kTrue}, "02"},
      {{.tag = CloneTag::kEllipsis}, "03"},
      {{.tag = CloneTag::kNotImplemented}, "04"},
      {{.tag = CloneTag::kInt8, .number = ~uint64_t{0}}, "05ff"},
      {{.tag = CloneTag::kInt32, .number = 128}, "0680000000"},
      {{.tag = CloneTag::kInt64, .number = uint64_t{1} << 63}, "070000000000000080"},
      {{.tag = CloneTag::kBigInt, .bytes = nine}, "0809010203040506070809"},
      {{.tag = CloneTag::kFloat, .bytes = "01234567"}, "093031323334353637"},
      {{.tag = CloneTag::kComplex, .bytes = "0123456789abcdef"},
       "0a30313233343536373839616263646566"},
      {{.tag = CloneTag::kAscii, .bytes = "ab"}, "0b026162"},
      {{.tag = CloneTag::kAscii, .numbered = true, .bytes = ""}, "8b00"},
      {{.tag = CloneTag::kUtf8, .bytes = "\xC3\xA9"}, "0c02c3a9"},
      {{.tag = CloneTag::kWtf8, .bytes = "\xED\xA0\x80"}, "0d03eda080"},
      {{.tag = CloneTag::kBytes, .bytes = "\xFF"}, "0e01ff"},
      {{.tag = CloneTag::kBytearray, .numbered = true, .bytes = ""}, "8f00"},
      {{.tag = CloneTag::kTuple, .number = 300}, "10ac02"},
      {{.tag = CloneTag::kList, .numbered = true}, "9100"},
      {{.tag = CloneTag::kSet}, "1200"},
      {{.tag = CloneTag::kFrozenset}, "1300"},
      {{.tag = CloneTag::kDict, .number = 1}, "1401"},
      {{.tag = CloneTag::kFrozendict}, "1500"},
      {{.tag = CloneTag::kObject, .kind = CloneKind::kRegistered, .number = 2}, "161c02"},
      {{.tag = CloneTag::kBuffer, .number = 5}, "1705"},
      {{.tag = CloneTag::kReference, .number = 128}, "188001"}};
  for (const Form& form : forms) {
    std::string written;
    AppendCloneToken(form.token, &written);
    EXPECT_EQ(written, Raw(form.hex)) << form.hex;
    size_t offset = 0;
    CloneToken read;
    ASSERT_TRUE(ReadCloneToken(written, &offset, &read).ok()) << form.hex;
    EXPECT_EQ(offset, written.size());
    EXPECT_EQ(read.tag, form.token.tag);
    EXPECT_EQ(read.kind, form.token.kind);
    EXPECT_EQ(read.numbered, form.token.numbered);
    EXPECT_EQ(read.number, form.token.number);
    EXPECT_EQ(read.bytes, form.token.bytes);
    for (size_t i = 0; i < written.size(); ++i) {
      EXPECT_NE(ReadError(written.substr(0, i)), "OK") << form.hex << " cut to " << i;
    }
  }
}

TEST(CloneTokenTest, RefusesWhatIsNotTheShortestForm) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"067f000000", "127 is INT8 and not INT32"},
      {"0680ffffff", "-128 is INT8 and not INT32"},
      {"07ffffff7f00000000", "2147483647 is INT32 and not INT64"},
      {"07ffffffffffffffff", "-1 is INT8 and not INT64"},
      {"08080102030405060708", "BIG_INT fits into INT64"},
      {"080901020304050607ff00", "OK"},
      {"0809010203040506070800", "BIG_INT is longer than it need be"},
      {"08090102030405060780ff", "BIG_INT is longer than it need be"},
      {"0809ffffffffffffff7fff", "OK"},
      {"0b8000", "the length of ASCII is no number"},
      {"0b02c3a9", "ASCII is UTF8"},
      {"0b01ff", "ASCII is no text"},
      {"0c026162", "UTF8 is ASCII"},
      {"0c03eda080", "UTF8 is WTF8"},
      {"0d02c3a9", "WTF8 is UTF8"},
      {"0d04eda08020", "OK"},
      {"0d02eda0", "WTF8 is no text"},
      {"0d06eda080edb080", "OK"},
      {"0c02c080", "UTF8 is no text"},
      {"0c04f4908080", "UTF8 is no text"},
      {"108000", "the count of TUPLE is no number"},
      {"18ffffffffffffffffff01", "the number of REFERENCE is no number"}};
  for (const auto& [hex, error] : cases) EXPECT_EQ(ReadError(Raw(hex)), error) << hex;
}

TEST(CloneTokenTest, RefusesTagsKindsAndNumbersThatAreNone) {
  EXPECT_EQ(ReadError(Raw("19")), "there is no tag 25");
  EXPECT_EQ(ReadError(Raw("ff")), "there is no tag 127");
  EXPECT_EQ(ReadError(Raw("162000")), "there is no kind 32");
  for (int tag = 0; tag < kCloneTagCount; ++tag) {
    const CloneTag each{static_cast<uint8_t>(tag)};
    const std::string piece = Numbered(Piece({.tag = each, .bytes = {}}));
    const std::string expected = std::string(CloneTagName(each)) + " is numbered";
    EXPECT_EQ(ReadError(piece) == expected, !IsNumbered(each)) << tag;
  }
}

TEST(CloneTokenTest, KnowsTheNarrowestText) {
  EXPECT_EQ(TextTag(""), CloneTag::kAscii);
  EXPECT_EQ(TextTag(std::string(100, 'a')), CloneTag::kAscii);
  for (size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    text.replace(at, 1, "\xC3\xA9");
    EXPECT_EQ(TextTag(text), CloneTag::kUtf8) << at;
    EXPECT_EQ(TextTag(text + "\xED\xBF\xBF"), CloneTag::kWtf8) << at;
    text[at + 1] = 'a';
    EXPECT_EQ(TextTag(text), std::nullopt) << at;
  }
}

}  // namespace
}  // namespace cloister::sandbox
