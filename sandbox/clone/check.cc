#include "sandbox/clone/check.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/grammar.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {
namespace {

absl::Status Wrong(size_t offset, absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("clone, byte ", offset, ", ", path, ": ", what));
}

absl::Status CheckSources(const CloneParts& parts, CloneBuffers allowed) {
  if (allowed == CloneBuffers::kAny) return absl::OkStatus();
  for (size_t i = 0; i < parts.buffers.size(); ++i) {
    if (parts.buffers[i].source == CloneBufferSource::kInline) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("clone: buffer ", i, " is not inside the clone, which leaves its sandbox"));
  }
  return absl::OkStatus();
}

// Reads the next token; a count in it is none that the bytes that follow cannot have.
absl::Status ReadToken(std::string_view value, size_t* offset, CloneToken* token) {
  CLOISTER_RETURN_IF_ERROR(ReadCloneToken(value, offset, token));
  if (!IsContainer(token->tag)) return absl::OkStatus();
  const size_t left = value.size() - *offset;
  if (token->number <= (IsDict(token->tag) ? left / 2 : left)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(CloneTagName(token->tag), " has ", token->number,
                                                 " values, and the clone no bytes for them"));
}

}  // namespace

absl::StatusOr<CheckedClone> CheckClone(std::string_view clone, const CloneLimits& limits,
                                        CloneBuffers buffers) {
  CLOISTER_ASSIGN_OR_RETURN(CloneParts parts, ParseClone(clone, limits));
  CLOISTER_RETURN_IF_ERROR(CheckSources(parts, buffers));
  CloneGrammar grammar(limits, parts.buffers.size());
  size_t offset = 0;
  CloneToken token;
  while (!grammar.complete()) {
    if (absl::Status read = ReadToken(parts.value, &offset, &token); !read.ok()) {
      return Wrong(token.offset, grammar.Path(parts.value), read.message());
    }
    if (absl::Status taken = grammar.Take(token); !taken.ok()) {
      return Wrong(grammar.offset(), grammar.Path(parts.value), taken.message());
    }
  }
  const size_t end = kCloneHeaderBytes + offset;
  if (offset != parts.value.size()) return Wrong(end, "$", "there is more behind the value");
  if (grammar.buffers_used() != parts.buffers.size()) {
    return Wrong(end, "$",
                 absl::StrCat(parts.buffers.size(), " buffers, and the value uses ",
                              grammar.buffers_used()));
  }
  return CheckedClone{std::move(parts), grammar.Referenced()};
}

}  // namespace cloister::sandbox
