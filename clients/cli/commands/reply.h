// What commands that make one call have in common: how they show its answer, or that there is none.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_REPLY_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_REPLY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "clients/cli/commands/commands.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpcpp/support/status.h"

namespace cloister::cli {

// Tells the error and which command helps; its exit code.
int Refused(const Server& server, const grpc::Status& status, OutputFds fds);

// Writes to standard output, or tells why not; the exit code.
int Print(const std::string& text, OutputFds fds);

// Prints the names of what was made, one a line. Where that fails they are told on stderr, or nobody would know
// what to remove.
int PrintMade(const std::vector<std::string>& names, OutputFds fds);

// "STATE_READY" → "ready".
std::string LowerName(const std::string& name, const char* prefix);

// One line of a table of names and values; nothing for an empty value.
void AppendRow(absl::string_view name, const std::string& value, std::string* text);

// "2026-03-01 12:00:00 +0100"
std::string TimeText(const google::protobuf::Timestamp& time);

// How long it is until then: "59m59s".
std::string LeftText(const google::protobuf::Timestamp& time);

// Lines of such a table for each limit that is set.
void AppendLimits(const v1::Limits& limits, std::string* text);

// As in the proto, indented.
std::string JsonText(const google::protobuf::Message& message);

// "signaled: ended by SIGSEGV"
std::string LossText(const v1::Loss& loss);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_REPLY_H_
