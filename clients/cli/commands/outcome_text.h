// An outcome and what belongs to it, for people (one line) and for programs (JSON).

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_OUTCOME_TEXT_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_OUTCOME_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace cloister::cli {

// E.g. "WALL_TIMEOUT: ran for 5.00 s, the limit (5.00 s wall, 12.1 ms cpu, 8.5 MiB)". What the
// guest says of itself is shown with control characters escaped. The traceback is not in it: the
// program wrote that to stderr itself.
std::string OutcomeText(const v1::Outcome& outcome);

// Whether there is anything to say: not for success, and not for sys.exit(0).
bool IsWorthALine(const v1::Outcome& outcome);

// "WALL_TIMEOUT".
std::string KindName(v1::Outcome::Kind kind);

// Protobuf's JSON mapping under the proto's own field names; with fields that have their default
// value, unless told otherwise.
nlohmann::ordered_json MessageJson(const google::protobuf::Message& message,
                                   bool with_defaults = true);

// Puts bytes into `object`: under `name` where they are UTF-8, else base64 under NAME_base64.
void SetBytes(nlohmann::ordered_json* object, const std::string& name, const std::string& bytes);

// What an execution has shown.
struct CollectedOutput {
  std::string out;
  std::string err;
  std::vector<v1::DisplayData> displays;
  std::vector<v1::LateOutput> late;
};

// Appends; what the same execution goes on writing to the same stream becomes one piece.
void AppendLate(const v1::LateOutput& late, std::vector<v1::LateOutput>* all);

// What a terminal can show of a display, without the end of its last line; empty where it has no such form.
std::string DisplayText(const v1::MimeBundle& bundle);

// The forms that a terminal cannot show: "image/png (12.3 KiB), text/html (300 B)".
std::string OtherForms(const v1::MimeBundle& bundle);

// What `cloister run --json` prints.
nlohmann::ordered_json ResultJson(const v1::Started& started, const v1::Finished& finished,
                                  const CollectedOutput& output);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_OUTCOME_TEXT_H_
