// What a guest says of itself, as it may stand in an error or a log of ours.

#ifndef CLOISTER_SANDBOX_BASE_GUEST_TEXT_H_
#define CLOISTER_SANDBOX_BASE_GUEST_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace cloister::sandbox {

// Enough for most exceptions' messages.
inline constexpr size_t kGuestTextBytes = 300;

// `text`, which is UTF-8 as every string of a message that was parsed, on one line: white space becomes
// one blank, control characters, which a terminal would obey, "?". At most `max_bytes`, then "…" stands
// for the rest.
std::string TameGuestText(std::string_view text, size_t max_bytes = kGuestTextBytes);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_GUEST_TEXT_H_
