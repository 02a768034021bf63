#include "clients/cli/commands/value_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cloister::cli {
namespace {

constexpr size_t kMaximumBytes = size_t{1} << 20;
constexpr int kMaximumDepth = 100;
// Python itself refuses to write more than 4,300 digits.
constexpr size_t kMaximumDecimalBytes = 1785;
constexpr char kCut[] = "…";

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(text), "'");
}

std::string BytesText(const std::string& bytes) {
  return absl::StrCat("b'", absl::CHexEscape(bytes), "'");
}

// As Python writes it: always seen not to be an int, and in as few digits as say the same.
std::string FloatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  for (int digits = 1; digits <= 17; ++digits) {
    std::string text = absl::StrFormat("%.*g", digits, number);
    double read = 0;
    if (std::sscanf(text.c_str(), "%lf", &read) != 1 || read != number) continue;
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  return absl::StrFormat("%.17g", number);
}

// Of a magnitude, least significant byte first. The time grows with the square of the size.
std::string DecimalText(std::string bytes) {
  std::string digits;
  while (!bytes.empty()) {
    unsigned rest = 0;
    for (size_t i = bytes.size(); i-- > 0;) {
      const unsigned value = rest << 8 | static_cast<unsigned char>(bytes[i]);
      bytes[i] = static_cast<char>(value / 10);
      rest = value % 10;
    }
    digits.push_back(static_cast<char>('0' + rest));
    while (!bytes.empty() && bytes.back() == 0) bytes.pop_back();
  }
  std::reverse(digits.begin(), digits.end());
  return digits.empty() ? "0" : digits;
}

std::string HexText(const std::string& bytes) {
  std::string digits = absl::BytesToHexString(std::string(bytes.rbegin(), bytes.rend()));
  const size_t first = digits.find_first_not_of('0');
  return absl::StrCat("0x", first == std::string::npos ? "0" : digits.substr(first));
}

// Two's complement, least significant byte first.
std::string BigIntText(std::string bytes) {
  const bool is_negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  unsigned carry = 1;
  for (size_t i = 0; is_negative && i < bytes.size(); ++i) {
    carry += static_cast<unsigned char>(bytes[i]) ^ 0xffu;
    bytes[i] = static_cast<char>(carry & 0xffu);
    carry >>= 8;
  }
  return absl::StrCat(is_negative ? "-" : "",
                      bytes.size() <= kMaximumDecimalBytes ? DecimalText(bytes) : HexText(bytes));
}

std::string KindName(const v1::Object& object) {
  std::string name =
      v1::Object::Kind_IsValid(object.kind()) ? v1::Object::Kind_Name(object.kind()) : "";
  constexpr size_t kPrefix = 5;  // "KIND_"
  return name.size() > kPrefix ? absl::AsciiStrToLower(name.substr(kPrefix)) : "object";
}

class Writer {
 public:
  explicit Writer(const v1::Value& outermost) : outermost_(outermost) {}

  std::string Text(const v1::Value& value) {
    Write(value);
    return std::move(text_);
  }

 private:
  void Write(const v1::Value& value) {
    if (depth_ >= kMaximumDepth || text_.size() > kMaximumBytes) return Add(kCut);
    ++depth_;
    WriteKind(value);
    --depth_;
  }

  void WriteKind(const v1::Value& value) {
    switch (value.kind_case()) {
      case v1::Value::kText:
        return Add(value.text());
      case v1::Value::kSingleton:
        return Add(SingletonText(value.singleton()));
      case v1::Value::kBoolValue:
        return Add(value.bool_value() ? "True" : "False");
      case v1::Value::kIntValue:
        return Add(absl::StrCat(value.int_value()));
      case v1::Value::kBigIntValue:
        return Add(BigIntText(value.big_int_value()));
      case v1::Value::kFloatValue:
        return Add(FloatText(value.float_value()));
      case v1::Value::kComplexValue:
        return Add(absl::StrCat("complex(", FloatText(value.complex_value().real()), ", ",
                                FloatText(value.complex_value().imaginary()), ")"));
      case v1::Value::kStringValue:
        return Add(Quoted(value.string_value()));
      case v1::Value::kSurrogateStringValue:
        return Add(absl::StrCat("'", absl::CHexEscape(value.surrogate_string_value()), "'"));
      case v1::Value::kBytesValue:
        return Add(BytesText(value.bytes_value()));
      case v1::Value::kBytearrayValue:
        return Add(absl::StrCat("bytearray(", BytesText(value.bytearray_value()), ")"));
      case v1::Value::kBufferValue:
        return Add(absl::StrCat("<", value.buffer_value().size(), " bytes>"));
      case v1::Value::kReference:
        return WriteReference(value.reference());
      default:
        return WriteContainer(value);
    }
  }

  void WriteContainer(const v1::Value& value) {
    switch (value.kind_case()) {
      case v1::Value::kTupleValue:
        return WriteItems("(", value.tuple_value().items(),
                          value.tuple_value().items_size() == 1 ? ",)" : ")");
      case v1::Value::kListValue:
        return WriteItems("[", value.list_value().items(), "]");
      case v1::Value::kSetValue:
        if (value.set_value().items().empty()) return Add("set()");
        return WriteItems("{", value.set_value().items(), "}");
      case v1::Value::kFrozensetValue:
        return WriteItems("frozenset({", value.frozenset_value().items(), "})");
      case v1::Value::kDictValue:
        return WriteEntries("{", value.dict_value(), "}");
      case v1::Value::kFrozendictValue:
        return WriteEntries("frozendict({", value.frozendict_value(), "})");
      case v1::Value::kObjectValue:
        return WriteItems(absl::StrCat(KindName(value.object_value()), "("),
                          value.object_value().fields(), ")");
      default:
        return Add("?");
    }
  }

  void WriteReference(uint32_t index) {
    if (index >= static_cast<uint32_t>(outermost_.shared_size())) return Add("?");
    if (!open_.insert(index).second) return Add("...");
    Write(outermost_.shared(static_cast<int>(index)));
    open_.erase(index);
  }

  template <typename Items>
  void WriteItems(const std::string& begin, const Items& items, const char* end) {
    Add(begin);
    for (int i = 0; i < items.size() && text_.size() <= kMaximumBytes; ++i) {
      if (i > 0) Add(", ");
      Write(items[i]);
    }
    Add(end);
  }

  void WriteEntries(const char* begin, const v1::Entries& entries, const char* end) {
    Add(begin);
    const int count = std::min(entries.keys_size(), entries.values_size());
    for (int i = 0; i < count && text_.size() <= kMaximumBytes; ++i) {
      if (i > 0) Add(", ");
      Write(entries.keys(i));
      Add(": ");
      Write(entries.values(i));
    }
    Add(end);
  }

  static const char* SingletonText(v1::Singleton singleton) {
    switch (singleton) {
      case v1::SINGLETON_NONE:
        return "None";
      case v1::SINGLETON_ELLIPSIS:
        return "Ellipsis";
      case v1::SINGLETON_NOT_IMPLEMENTED:
        return "NotImplemented";
      default:
        return "?";
    }
  }

  void Add(absl::string_view text) { absl::StrAppend(&text_, text); }

  const v1::Value& outermost_;
  std::string text_;
  std::set<uint32_t> open_;
  int depth_ = 0;
};

}  // namespace

std::string ValueText(const v1::Value& value) { return PartText(value, value); }

std::string PartText(const v1::Value& outermost, const v1::Value& part) {
  return Writer(outermost).Text(part);
}

}  // namespace cloister::cli
