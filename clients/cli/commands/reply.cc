#include "clients/cli/commands/reply.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/units.h"
#include "cloister/client/service_error.h"
#include "google/protobuf/util/json_util.h"

namespace cloister::cli {
namespace {

// Which command does what the server's message speaks of.
struct Help {
  const char* reason;
  const char* text;
};
constexpr Help kHelp[] = {
    {"SANDBOX_LOST", "`cloister sandbox restart SANDBOX` gives it a new start, `cloister sandbox rm SANDBOX` ends it"},
    {"INTERPRETER_LOST", "`cloister interp restart NAME` gives it a new start, `cloister interp rm NAME` ends it"},
    {"SANDBOX_COUNT_EXCEEDED", "`cloister sandbox list` shows them, `cloister sandbox rm SANDBOX` ends one"},
    {"SNAPSHOT_COUNT_EXCEEDED", "`cloister snapshot list` shows them, `cloister snapshot rm SNAPSHOT` ends one"},
    {"INTERPRETER_COUNT_EXCEEDED", "`cloister interp list SANDBOX` shows them, `cloister interp rm NAME` ends one"},
};

}  // namespace

int Refused(const Server& server, const grpc::Status& status, OutputFds fds) {
  const client::ServiceError error = client::ParseServiceError(status);
  Complain(fds.err, client::ErrorText(error, server.address));
  for (const Help& help : kHelp) {
    if (error.reason == help.reason) Complain(fds.err, help.text);
  }
  return ExitCodeFor(status);
}

int Print(const std::string& text, OutputFds fds) {
  return WriteAll(fds.out, text) ? kExitOk : OutputFailed(fds);
}

int PrintMade(const std::vector<std::string>& names, OutputFds fds) {
  const int code = Print(absl::StrCat(absl::StrJoin(names, "\n"), "\n"), fds);
  if (code != kExitOk) Complain(fds.err, absl::StrCat("made ", absl::StrJoin(names, " ")));
  return code;
}

std::string LowerName(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

void AppendRow(absl::string_view name, const std::string& value, std::string* text) {
  if (!value.empty()) absl::StrAppendFormat(text, "%-12s %s\n", name, value);
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %z", absl::FromUnixSeconds(time.seconds()),
                          absl::LocalTimeZone());
}

std::string LeftText(const google::protobuf::Timestamp& time) {
  const absl::Duration left = absl::FromUnixSeconds(time.seconds()) - absl::Now();
  return absl::FormatDuration(std::max(absl::Floor(left, absl::Seconds(1)), absl::ZeroDuration()));
}

void AppendLimits(const v1::Limits& limits, std::string* text) {
  const auto time = [text](const char* name, const google::protobuf::Duration& value) {
    AppendRow(name, absl::FormatDuration(FromProto(value)), text);
  };
  if (limits.has_wall_time()) time("wall time", limits.wall_time());
  if (limits.has_cpu_time()) time("cpu time", limits.cpu_time());
  const auto number = [text](const char* name, int64_t value, bool is_size) {
    if (value > 0) AppendRow(name, is_size ? SizeText(value) : absl::StrCat(value), text);
  };
  number("memory", limits.memory_bytes(), true);
  number("output", limits.output_bytes(), true);
  number("processes", limits.process_count(), false);
  number("open files", limits.open_file_count(), false);
  number("file size", limits.file_bytes(), true);
  number("workspace", limits.workspace_bytes(), true);
}

std::string JsonText(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

std::string LossText(const v1::Loss& loss) {
  return absl::StrCat(LowerName(v1::Outcome::Kind_Name(loss.cause()), "KIND_"), ": ",
                      loss.detail());
}

}  // namespace cloister::cli
