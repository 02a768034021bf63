// Typed values for people: as Python would show them, as far as that is known here.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_

#include <string>

#include "cloister/v1/value.pb.h"

namespace cloister::cli {

// Value.text where that is set. What stands in itself is "<1>…" where it is first met and "<1>"
// within. Cut after about 1 MiB, or where it is deeper than 100.
std::string ValueText(const v1::Value& value);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_
