#include "clients/cli/commands/outcome_text.h"

#include <csignal>
#include <cstring>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "clients/cli/commands/units.h"
#include "clients/cli/commands/utf8.h"
#include "google/protobuf/util/json_util.h"

namespace cloister::cli {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaximumMessageBytes = 500;
constexpr char kTextType[] = "text/plain";

// Text of the guest's on one line of the terminal; it may hold anything.
std::string Tame(const std::string& text) {
  // Quotes are no danger there, and messages are full of them.
  std::string tame;
  for (const char c : text.substr(0, kMaximumMessageBytes)) {
    const bool is_quote = c == '\'' || c == '"';
    tame += is_quote ? std::string(1, c) : absl::Utf8SafeCEscape(std::string(1, c));
  }
  if (text.size() > kMaximumMessageBytes) tame += "…";
  return tame;
}

std::string SignalName(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

// What happened, beyond the kind's name.
std::string Particulars(const v1::Outcome& outcome) {
  switch (outcome.kind()) {
    case v1::Outcome::KIND_RAISED: {
      const v1::Exception& exception = outcome.exception();
      std::string text = Tame(exception.type());
      if (!exception.message().empty()) absl::StrAppend(&text, ": ", Tame(exception.message()));
      return text;
    }
    case v1::Outcome::KIND_EXITED:
      return absl::StrCat("exit code ", outcome.exit_code());
    case v1::Outcome::KIND_SIGNALED:
      return SignalName(outcome.signal());
    default:
      return Tame(outcome.detail());
  }
}

ordered_json DisplayJson(const v1::DisplayData& display) {
  ordered_json data = ordered_json::object();
  for (const auto& [type, content] : display.bundle().data()) SetBytes(&data, type, content);
  ordered_json json = MessageJson(display);
  json["bundle"]["data"] = std::move(data);
  return json;
}

ordered_json LateJson(const v1::LateOutput& late) {
  ordered_json json;
  json["execution"] = late.execution();
  if (late.has_stdout()) SetBytes(&json, "stdout", late.stdout());
  if (late.has_stderr()) SetBytes(&json, "stderr", late.stderr());
  if (late.has_display()) json["display"] = DisplayJson(late.display());
  if (late.has_clear_output()) json["clear_output"] = MessageJson(late.clear_output());
  return json;
}

}  // namespace

std::string KindName(v1::Outcome::Kind kind) {
  const std::string& name = v1::Outcome::Kind_Name(kind);
  if (name.empty()) return absl::StrCat("unknown outcome ", static_cast<int>(kind));
  return std::string(absl::StripPrefix(name, "KIND_"));
}

std::string OutcomeText(const v1::Outcome& outcome) {
  std::string text = KindName(outcome.kind());
  const std::string particulars = Particulars(outcome);
  if (!particulars.empty()) absl::StrAppend(&text, ": ", absl::StripSuffix(particulars, "."));
  const v1::Usage& usage = outcome.usage();
  absl::StrAppend(&text, " (", DurationText(FromProto(usage.wall_time())), " wall, ",
                  DurationText(FromProto(usage.cpu_time())), " cpu, ",
                  SizeText(usage.peak_memory_bytes()), ")");
  const int64_t lost = outcome.truncated_stdout_bytes() + outcome.truncated_stderr_bytes();
  if (lost > 0) absl::StrAppend(&text, "; ", SizeText(lost), " of output not delivered");
  return text;
}

bool IsWorthALine(const v1::Outcome& outcome) {
  if (outcome.kind() == v1::Outcome::KIND_SUCCEEDED) return false;
  return outcome.kind() != v1::Outcome::KIND_EXITED || outcome.exit_code() != 0;
}

ordered_json MessageJson(const google::protobuf::Message& message, bool with_defaults) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = with_defaults;
  std::string text;
  // Only messages with broken Any fields fail; ours have none.
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return {};
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

void SetBytes(ordered_json* object, const std::string& name, const std::string& bytes) {
  if (IsUtf8(bytes)) {
    (*object)[name] = bytes;
  } else {
    (*object)[name + "_base64"] = absl::Base64Escape(bytes);
  }
}

void AppendLate(const v1::LateOutput& late, std::vector<v1::LateOutput>* all) {
  v1::LateOutput* last = all->empty() ? nullptr : &all->back();
  const bool goes_on = last != nullptr && last->execution() == late.execution() &&
                       last->written_case() == late.written_case();
  if (goes_on && late.has_stdout()) {
    last->mutable_stdout()->append(late.stdout());
  } else if (goes_on && late.has_stderr()) {
    last->mutable_stderr()->append(late.stderr());
  } else {
    all->push_back(late);
  }
}

std::string DisplayText(const v1::MimeBundle& bundle) {
  const auto text = bundle.data().find(kTextType);
  if (text == bundle.data().end()) return "";
  return std::string(absl::StripSuffix(text->second, "\n"));
}

std::string OtherForms(const v1::MimeBundle& bundle) {
  // Sorted, which the message is not.
  std::map<std::string, std::string> forms;
  for (const auto& [type, content] : bundle.data()) {
    if (type != kTextType) forms[type] = SizeText(static_cast<int64_t>(content.size()));
  }
  for (const v1::OmittedForm& form : bundle.omitted()) {
    forms[form.mime_type()] = form.size_bytes() == 0
                                  ? "which could not be made"
                                  : SizeText(form.size_bytes()) + ", too large to be sent";
  }
  std::vector<std::string> texts;
  for (const auto& [type, size] : forms) texts.push_back(absl::StrCat(Tame(type), " (", size, ")"));
  return absl::StrJoin(texts, ", ");
}

ordered_json ResultJson(const v1::Started& started, const v1::Finished& finished,
                        const CollectedOutput& output) {
  ordered_json result;
  result["execution"] = started.execution();
  result["start_kind"] = v1::StartKind_Name(started.start_kind());
  result["outcome"] = MessageJson(finished.outcome());
  // In each of many values of values, defaults would be most of what is printed.
  const v1::Value& value = finished.outcome().value();
  const bool is_typed = finished.outcome().has_value() && !value.has_text() && !value.has_bundle();
  if (is_typed) result["outcome"]["value"] = MessageJson(value, /*with_defaults=*/false);
  SetBytes(&result, "stdout", output.out);
  SetBytes(&result, "stderr", output.err);
  result["displays"] = ordered_json::array();
  for (const v1::DisplayData& display : output.displays) {
    result["displays"].push_back(DisplayJson(display));
  }
  result["late_output"] = ordered_json::array();
  for (const v1::LateOutput& late : output.late) result["late_output"].push_back(LateJson(late));
  result["files"] = ordered_json::array();
  for (const v1::ReturnedFile& file : finished.files()) {
    ordered_json entry;
    entry["path"] = file.path();
    if (file.error().empty()) {
      SetBytes(&entry, "content", file.content());
    } else {
      entry["error"] = file.error();
    }
    result["files"].push_back(std::move(entry));
  }
  result["effective_limits"] = MessageJson(started.effective_limits());
  return result;
}

}  // namespace cloister::cli
