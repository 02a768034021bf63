// Typed values for people, in the manner of Python; its own text (Value.text) is better where there
// is one.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_

#include <string>

#include "cloister/v1/value.pb.h"

namespace cloister::cli {

// Value.text where that is set. What stands in itself is "..." there. Cut after about 1 MiB, or
// where it is deeper than 100.
std::string ValueText(const v1::Value& value);

// The same of something inside it.
std::string PartText(const v1::Value& outermost, const v1::Value& part);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_TEXT_H_
