// Values of programs as JSON, for other programs to read.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_JSON_VALUE_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_JSON_VALUE_H_

#include "cloister/v1/value.pb.h"
#include "nlohmann/json.hpp"

namespace cloister::cli {

// None, numbers, text, lists, tuples, sets and dicts with text keys as JSON has them; whatever else
// there is as {"python": "what Python would show"}, and so is what stands in itself, and what is deeper
// than 100. {"python": "…"} is what is past a million values or 64 MiB of text: what is shared is shown wherever it
// is referred to, so a small message may say much.
nlohmann::ordered_json JsonFromValue(const v1::Value& value);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_JSON_VALUE_H_
