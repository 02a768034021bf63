#include "clients/cli/commands/reply.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cpp/service_error.h"
#include "google/protobuf/util/json_util.h"

namespace cloister::cli {

int Refused(const Server& server, const grpc::Status& status, OutputFds fds) {
  Complain(fds.err, client::ErrorText(client::ParseServiceError(status), server.address));
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

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
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
