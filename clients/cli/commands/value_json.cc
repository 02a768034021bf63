#include "clients/cli/commands/value_json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace cloister::cli {
namespace {

using nlohmann::json;

// What protobuf's parsers take, which count each Value twice, with room for what it is put into.
constexpr size_t kMaximumDepth = 40;

// Builds a Value as the parser goes along. False from a member stops the parser.
class ValueBuilder final : public nlohmann::json_sax<json> {
 public:
  explicit ValueBuilder(v1::Value* root) : root_(root) {}

  const std::string& problem() const { return problem_; }

  bool null() override {
    Next()->set_singleton(v1::SINGLETON_NONE);
    return true;
  }
  bool boolean(bool value) override {
    Next()->set_bool_value(value);
    return true;
  }
  bool number_integer(number_integer_t value) override {
    Next()->set_int_value(value);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > INT64_MAX) return Fail("a whole number beyond 64 bits");
    Next()->set_int_value(static_cast<int64_t>(value));
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") == string_t::npos) return Fail("a whole number beyond 64 bits");
    Next()->set_float_value(value);
    return true;
  }
  bool string(string_t& value) override {
    Next()->set_string_value(std::move(value));
    return true;
  }
  bool binary(binary_t& /*value*/) override { return Fail("binary data"); }

  bool start_object(size_t /*count*/) override {
    v1::Value* value = Next();
    value->mutable_dict_value();
    return Open(value);
  }
  bool key(string_t& name) override {
    v1::Entries* entries = open_.back()->mutable_dict_value();
    for (const v1::Value& earlier : entries->keys()) {
      if (earlier.string_value() == name) return Fail(absl::StrCat("\"", name, "\" twice"));
    }
    entries->add_keys()->set_string_value(std::move(name));
    return true;
  }
  bool end_object() override { return Close(); }
  bool start_array(size_t /*count*/) override {
    v1::Value* value = Next();
    value->mutable_list_value();
    return Open(value);
  }
  bool end_array() override { return Close(); }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return Fail(
        absl::StrCat("something else at byte ", position, "; text needs quotes: '\"text\"'"));
  }

 private:
  v1::Value* Next() {
    if (open_.empty()) return root_;
    v1::Value* parent = open_.back();
    return parent->has_dict_value() ? parent->mutable_dict_value()->add_values()
                                    : parent->mutable_list_value()->add_items();
  }
  bool Open(v1::Value* value) {
    open_.push_back(value);
    return open_.size() <= kMaximumDepth ||
           Fail(absl::StrCat("more than ", kMaximumDepth, " things in one another"));
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  bool Fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  v1::Value* const root_;
  std::vector<v1::Value*> open_;
  std::string problem_;
};

}  // namespace

absl::StatusOr<v1::Value> ValueFromJson(absl::string_view text) {
  v1::Value value;
  ValueBuilder builder(&value);
  if (json::sax_parse(text.begin(), text.end(), &builder)) return value;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text.substr(0, 60), text.size() > 60 ? "…" : "",
                   "\" is not usable JSON, it has ", builder.problem()));
}

}  // namespace cloister::cli
