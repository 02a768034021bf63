#include "service/rpc/remote_error.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

// Of builtins: whose str() is their one argument, and none where there is no text. Others have
// further arguments, or show theirs in a way of their own; an exception that only iteration
// understands would be taken for the end of one.
constexpr const char* kSaysItsArgument[] = {"ArithmeticError",
                                            "AssertionError",
                                            "AttributeError",
                                            "BufferError",
                                            "BytesWarning",
                                            "DeprecationWarning",
                                            "EOFError",
                                            "EncodingWarning",
                                            "Exception",
                                            "FloatingPointError",
                                            "FutureWarning",
                                            "ImportError",
                                            "ImportWarning",
                                            "IndentationError",
                                            "IndexError",
                                            "LookupError",
                                            "MemoryError",
                                            "ModuleNotFoundError",
                                            "NameError",
                                            "NotImplementedError",
                                            "OverflowError",
                                            "PendingDeprecationWarning",
                                            "PythonFinalizationError",
                                            "RecursionError",
                                            "ReferenceError",
                                            "ResourceWarning",
                                            "RuntimeError",
                                            "RuntimeWarning",
                                            "SyntaxError",
                                            "SyntaxWarning",
                                            "SystemError",
                                            "TabError",
                                            "TypeError",
                                            "UnboundLocalError",
                                            "UnicodeError",
                                            "UnicodeWarning",
                                            "UserWarning",
                                            "ValueError",
                                            "Warning",
                                            "ZeroDivisionError"};
constexpr const char* kHasErrorNumber[] = {
    "BlockingIOError",   "BrokenPipeError",        "ChildProcessError",    "ConnectionAbortedError",
    "ConnectionError",   "ConnectionRefusedError", "ConnectionResetError", "FileExistsError",
    "FileNotFoundError", "InterruptedError",       "IsADirectoryError",    "NotADirectoryError",
    "OSError",           "PermissionError",        "ProcessLookupError",   "TimeoutError"};

template <size_t kCount>
bool IsIn(const char* const (&names)[kCount], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// What an exception is made of.
struct Parts {
  std::vector<v1::Value> arguments;
  std::string filename;  // of an OSError; empty where there is none
};

v1::Value Text(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return value;
}

// What Python shows of text in which nothing needs to be escaped.
std::optional<std::string> Unquoted(std::string_view shown) {
  if (shown.size() < 2 || shown.front() != shown.back()) return std::nullopt;
  const char quote = shown.front();
  shown = shown.substr(1, shown.size() - 2);
  const bool is_plain = (quote == '\'' || quote == '"') && shown.find(quote) == shown.npos &&
                        shown.find('\\') == shown.npos;
  return is_plain ? std::make_optional(std::string(shown)) : std::nullopt;
}

// "'key'" or "7".
std::optional<Parts> PartsOfKeyError(const std::string& shown) {
  v1::Value key;
  if (const auto text = Unquoted(shown)) {
    key.set_string_value(*text);
  } else if (int64_t number; absl::SimpleAtoi(shown, &number) && absl::StrCat(number) == shown) {
    key.set_int_value(number);
  } else {
    return std::nullopt;
  }
  return Parts{{std::move(key)}, ""};
}

// "[Errno 2] No such file or directory: 'name'", or any text.
Parts PartsOfOsError(const std::string& shown) {
  std::string_view rest = shown;
  const size_t end = rest.find("] ");
  int number = 0;
  constexpr std::string_view kBegin = "[Errno ";
  if (!rest.starts_with(kBegin) || end == rest.npos ||
      !absl::SimpleAtoi(std::string(rest.substr(kBegin.size(), end - kBegin.size())), &number)) {
    return {{Text(shown)}, ""};
  }
  rest.remove_prefix(end + 2);
  Parts parts;
  parts.arguments.emplace_back().set_int_value(number);
  if (const size_t colon = rest.find(": "); colon != rest.npos) {
    if (const auto filename = Unquoted(rest.substr(colon + 2))) {
      parts.filename = *filename;
      rest = rest.substr(0, colon);
    }
  }
  parts.arguments.push_back(Text(std::string(rest)));
  return parts;
}

// Nothing where its text does not tell them.
std::optional<Parts> PartsOf(const v1::Exception& exception) {
  const std::string& text = exception.message();
  if (text.empty()) {
    const bool is_known = IsIn(kSaysItsArgument, exception.type()) ||
                          IsIn(kHasErrorNumber, exception.type()) || exception.type() == "KeyError";
    return is_known ? std::make_optional(Parts()) : std::nullopt;
  }
  if (exception.type() == "KeyError") return PartsOfKeyError(text);
  if (IsIn(kHasErrorNumber, exception.type())) return PartsOfOsError(text);
  if (!IsIn(kSaysItsArgument, exception.type())) return std::nullopt;
  return Parts{{Text(text)}, ""};
}

// An Object of one of the two kinds (proto/CLONE.md) without its class: arguments, attributes,
// notes, cause, context, whether that is suppressed, frames.
v1::Value Describe(v1::Object::Kind kind, v1::Value type, const Parts& parts,
                   const v1::Exception& exception) {
  v1::Value error;
  v1::Object& object = *error.mutable_object_value();
  object.set_kind(kind);
  *object.add_fields() = std::move(type);
  v1::Items& arguments = *object.add_fields()->mutable_tuple_value();
  for (const v1::Value& argument : parts.arguments) *arguments.add_items() = argument;
  if (parts.filename.empty()) {
    object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  } else {
    v1::Entries& attributes = *object.add_fields()->mutable_dict_value();
    attributes.add_keys()->set_string_value("filename");
    attributes.add_values()->set_string_value(parts.filename);
  }
  if (exception.notes().empty()) {
    object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  } else {
    v1::Items& notes = *object.add_fields()->mutable_list_value();
    for (const std::string& note : exception.notes()) notes.add_items()->set_string_value(note);
  }
  for (int i = 0; i < 2; ++i) object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  object.add_fields()->set_bool_value(false);
  v1::Items& frames = *object.add_fields()->mutable_list_value();
  for (const v1::Frame& frame : exception.frames()) {
    v1::Items& told = *frames.add_items()->mutable_tuple_value();
    told.add_items()->set_string_value(frame.file());
    told.add_items()->set_int_value(frame.line());
    told.add_items()->set_string_value(frame.function());
  }
  return error;
}

v1::Value Describe(const std::string& module, const std::string& name, const std::string& text,
                   const v1::Exception& exception) {
  v1::Value type;
  type.mutable_tuple_value()->add_items()->set_string_value(module);
  type.mutable_tuple_value()->add_items()->set_string_value(name);
  return Describe(v1::Object::KIND_REMOTE_ERROR, std::move(type), Parts{{Text(text)}, ""},
                  exception);
}

}  // namespace

v1::Value RemoteError(const std::string& text) {
  return Describe("cloister", "RemoteError", text, v1::Exception());
}

std::string CloneOfException(const v1::Exception& exception) {
  const std::optional<Parts> parts =
      exception.module() == "builtins" ? PartsOf(exception) : std::nullopt;
  if (parts.has_value()) {
    v1::Value type;
    type.mutable_object_value()->set_kind(v1::Object::KIND_GLOBAL);
    type.mutable_object_value()->add_fields()->set_string_value(exception.module());
    type.mutable_object_value()->add_fields()->set_string_value(exception.type());
    const auto clone = sandbox::CloneFromValue(
        Describe(v1::Object::KIND_EXCEPTION, std::move(type), *parts, exception),
        sandbox::kResultCloneLimits);
    if (clone.ok()) return *clone;
  }
  const auto clone = sandbox::CloneFromValue(
      Describe(exception.module(), exception.type(), exception.message(), exception),
      sandbox::kResultCloneLimits);
  // Its words were bounded when they came; where they still do not fit, that is said.
  return clone.ok() ? *clone
                    : *sandbox::CloneFromValue(RemoteError("an exception that cannot be described"),
                                               sandbox::kResultCloneLimits);
}

}  // namespace cloister::rpc
