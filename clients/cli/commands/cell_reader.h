// Whether what was typed so far is a whole piece of Python, as an interactive Python sees it: a
// guess without a parser, which errs towards running the code, since the interpreter judges it in
// the end.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_CELL_READER_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_CELL_READER_H_

#include "absl/strings/string_view.h"

namespace cloister::cli {

// `code` ends with its last line's end. A block (what follows a colon, or a decorator) is whole
// with an empty line; brackets, triple quotes and backslashes have to be closed.
bool IsWholeInput(absl::string_view code);

// Whether it is a block without its empty line: code that could be run, but is likely to go on.
bool IsOpenBlock(absl::string_view code);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_CELL_READER_H_
