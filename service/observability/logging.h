// Structured log lines on standard error: a message from a fixed set of words, and fields.
//
// Never logged: code, output, arguments, environment, file contents. Whatever a caller or a guest
// could have chosen is escaped, so that nobody forges a line.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_LOGGING_H_
#define CLOISTER_SERVICE_OBSERVABILITY_LOGGING_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace spdlog {
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace cloister::observability {

// In the order of the metric table's severities.
enum class Severity { kDebug, kInfo, kWarn, kError };

enum class LogFormat { kText, kJson };

// One key and its value. Durations are written in seconds. Keys are words of ours.
struct Field {
  std::string_view key;
  std::variant<std::string_view, int64_t, double, bool> value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, int v) : key(k), value(int64_t{v}) {}
  Field(std::string_view k, int64_t v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, absl::Duration v) : key(k), value(absl::ToDoubleSeconds(v)) {}
};

// Thread-safety: safe.
class Log {
 public:
  // To standard error, or to `sink` instead.
  Log(Severity least, LogFormat format, std::shared_ptr<spdlog::sinks::sink> sink = nullptr);

  void Write(Severity severity, std::string_view message, std::initializer_list<Field> fields);

  void Debug(std::string_view message, std::initializer_list<Field> fields = {}) {
    Write(Severity::kDebug, message, fields);
  }
  void Info(std::string_view message, std::initializer_list<Field> fields = {}) {
    Write(Severity::kInfo, message, fields);
  }
  void Warn(std::string_view message, std::initializer_list<Field> fields = {}) {
    Write(Severity::kWarn, message, fields);
  }
  void Error(std::string_view message, std::initializer_list<Field> fields = {}) {
    Write(Severity::kError, message, fields);
  }

  // Called with the severity of every line that is written. Before other threads log.
  void SetCounter(std::function<void(Severity)> counter) { counter_ = std::move(counter); }

 private:
  const LogFormat format_;
  const std::shared_ptr<spdlog::logger> logger_;
  std::function<void(Severity)> counter_;
};

// "debug", "info", "warn", "error"; "text", "json". Errors: INVALID_ARGUMENT listing what there is.
absl::StatusOr<Severity> ParseSeverity(const std::string& text);
absl::StatusOr<LogFormat> ParseLogFormat(const std::string& text);

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_LOGGING_H_
