// Text that a guest had a hand in, names of its files above all, on its way into a message: a string of
// a message is UTF-8 or the whole message does not parse at its other end.

#ifndef CLOISTER_SANDBOX_BASE_FOREIGN_TEXT_H_
#define CLOISTER_SANDBOX_BASE_FOREIGN_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace cloister::sandbox {

// `text` with \xNN for every byte that is a control character or no part of valid UTF-8, and, where that
// is longer than `max_bytes`, cut between characters and ended with "...".
std::string ForeignText(std::string_view text, size_t max_bytes);

// The same of prose, such as an exception's message, for an error or a log of ours: what white space
// there is between words is one blank.
std::string ForeignLine(std::string_view text, size_t max_bytes = 300);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_FOREIGN_TEXT_H_
