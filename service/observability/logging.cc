#include "service/observability/logging.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace cloister::observability {
namespace {

spdlog::level::level_enum ToLevel(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return spdlog::level::debug;
    case Severity::kInfo:
      return spdlog::level::info;
    case Severity::kWarn:
      return spdlog::level::warn;
    case Severity::kError:
      break;
  }
  return spdlog::level::err;
}

// As the configuration and the metrics spell them.
const char* Name(Severity severity) {
  constexpr const char* kNames[] = {"debug", "info", "warn", "error"};
  return kNames[static_cast<size_t>(severity)];
}

bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

// Bare where that is unambiguous, else quoted with everything but printable ASCII escaped.
std::string TextValue(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  return absl::StrCat("\"", absl::CHexEscape({text.data(), text.size()}), "\"");
}

std::string ToText(Severity severity, std::string_view message,
                   std::initializer_list<Field> fields) {
  std::string line = absl::StrCat(Name(severity), " ");
  line.append(message);
  for (const Field& field : fields) {
    line.append(" ").append(field.key).append("=");
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      line += TextValue(*text);
    } else if (const auto* number = std::get_if<int64_t>(&field.value)) {
      absl::StrAppend(&line, *number);
    } else if (const auto* real = std::get_if<double>(&field.value)) {
      absl::StrAppend(&line, *real);
    } else {
      line += std::get<bool>(field.value) ? "true" : "false";
    }
  }
  return line;
}

// Members only: the braces and the time are the pattern's.
std::string ToJson(Severity severity, std::string_view message,
                   std::initializer_list<Field> fields) {
  nlohmann::ordered_json object;
  object["severity"] = Name(severity);
  object["message"] = std::string(message);
  for (const Field& field : fields) {
    std::visit(
        [&object, &field](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
            object[std::string(field.key)] = std::string(value);
          } else {
            object[std::string(field.key)] = value;
          }
        },
        field.value);
  }
  const std::string text =
      object.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

}  // namespace

Log::Log(Severity least, LogFormat format, std::shared_ptr<spdlog::sinks::sink> sink)
    : format_(format),
      logger_(std::make_shared<spdlog::logger>(
          "cloister", sink ? std::move(sink) : std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(ToLevel(least));
  // Nothing of what was told waits in memory. Standard error keeps nothing anyway.
  logger_->flush_on(spdlog::level::trace);
  logger_->set_pattern(format == LogFormat::kText ? "%Y-%m-%dT%H:%M:%S.%eZ %v"
                                                  : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})",
                       spdlog::pattern_time_type::utc);
}

void Log::Write(Severity severity, std::string_view message, std::initializer_list<Field> fields) {
  const spdlog::level::level_enum level = ToLevel(severity);
  if (!logger_->should_log(level)) return;
  if (counter_) counter_(severity);
  // As an argument: a message is never a format string.
  logger_->log(level, "{}",
               format_ == LogFormat::kText ? ToText(severity, message, fields)
                                           : ToJson(severity, message, fields));
}

absl::StatusOr<Severity> ParseSeverity(const std::string& text) {
  if (text == "debug") return Severity::kDebug;
  if (text == "info") return Severity::kInfo;
  if (text == "warn") return Severity::kWarn;
  if (text == "error") return Severity::kError;
  return absl::InvalidArgumentError("must be debug, info, warn or error");
}

absl::StatusOr<LogFormat> ParseLogFormat(const std::string& text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError("must be text or json");
}

}  // namespace cloister::observability
