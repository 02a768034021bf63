// What is UTF-8 and what is not.

#ifndef CLOISTER_SANDBOX_BASE_UTF8_H_
#define CLOISTER_SANDBOX_BASE_UTF8_H_

#include <cstddef>
#include <string_view>

namespace cloister::sandbox {

// How many bytes the character at the front of `bytes` has, which are not empty; 0 where there is none:
// overlong forms, surrogates and what is past the last character are none (RFC 3629).
size_t Utf8CharacterBytes(std::string_view bytes);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_UTF8_H_
