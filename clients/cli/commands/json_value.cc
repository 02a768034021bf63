#include "clients/cli/commands/json_value.h"

#include <cmath>
#include <string>
#include <utility>

#include "clients/cli/commands/value_text.h"

namespace cloister::cli {
namespace {

using Json = nlohmann::ordered_json;
using v1::Value;

constexpr int kMaximumDepth = 100;
constexpr int kMaximumValues = 1'000'000;
constexpr size_t kMaximumBytes = size_t{64} << 20;

Json Python(std::string text) {
  Json shown = Json::object();
  shown["python"] = std::move(text);
  return shown;
}

class Writer {
 public:
  explicit Writer(const Value& outermost) : outermost_(outermost) {}

  Json Write(const Value& value, int depth) {
    if (IsFull()) return Rest();
    ++values_;
    if (depth > kMaximumDepth) return AsPython(value);
    switch (value.kind_case()) {
      case Value::kSingleton:
        if (value.singleton() == v1::SINGLETON_NONE) return nullptr;
        return AsPython(value);
      case Value::kBoolValue:
        return value.bool_value();
      case Value::kIntValue:
        return value.int_value();
      case Value::kFloatValue:
        if (std::isfinite(value.float_value())) return value.float_value();
        return AsPython(value);
      case Value::kStringValue:
        return Text(value.string_value());
      case Value::kText:
        return Python(Text(value.text()));
      case Value::kTupleValue:
        return Array(value.tuple_value(), depth);
      case Value::kListValue:
        return Array(value.list_value(), depth);
      case Value::kSetValue:
        return Array(value.set_value(), depth);
      case Value::kFrozensetValue:
        return Array(value.frozenset_value(), depth);
      case Value::kDictValue:
        return Object(value, value.dict_value(), depth);
      case Value::kFrozendictValue:
        return Object(value, value.frozendict_value(), depth);
      case Value::kReference:
        if (static_cast<int>(value.reference()) >= outermost_.shared_size()) return AsPython(value);
        return Write(outermost_.shared(static_cast<int>(value.reference())), depth + 1);
      default:
        return AsPython(value);
    }
  }

 private:
  bool IsFull() const { return values_ >= kMaximumValues || bytes_ >= kMaximumBytes; }
  static Json Rest() { return Python("…"); }

  Json Array(const v1::Items& items, int depth) {
    Json array = Json::array();
    for (const Value& item : items.items()) {
      const bool is_rest = IsFull();
      array.push_back(Write(item, depth + 1));
      if (is_rest) break;
    }
    return array;
  }
  Json Object(const Value& value, const v1::Entries& entries, int depth) {
    Json object = Json::object();
    for (int i = 0; i < entries.keys_size(); ++i) {
      const bool is_rest = IsFull();
      const Value& key =
          entries.keys(i).kind_case() == Value::kReference &&
                  static_cast<int>(entries.keys(i).reference()) < outermost_.shared_size()
              ? outermost_.shared(static_cast<int>(entries.keys(i).reference()))
              : entries.keys(i);
      if (!key.has_string_value()) return AsPython(value);
      object[Text(key.string_value())] = Write(entries.values(i), depth + 1);
      if (is_rest) break;
    }
    return object;
  }
  const std::string& Text(const std::string& text) {
    bytes_ += text.size();
    return text;
  }
  Json AsPython(const Value& value) { return Python(Text(PartText(outermost_, value))); }

  const Value& outermost_;
  int values_ = 0;
  size_t bytes_ = 0;
};

}  // namespace

Json JsonFromValue(const Value& value) { return Writer(value).Write(value, 0); }

}  // namespace cloister::cli
