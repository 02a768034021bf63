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

// Of what stays inside its sandbox, if it is that.
absl::Status CheckBorder(const CloneParts& parts, const CloneToken& token) {
  if (token.tag == CloneTag::kObject && IsHandle(token.kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat(CloneKindName(token.kind), " cannot leave its sandbox"));
  }
  const bool is_buffer = token.tag == CloneTag::kBuffer && token.number < parts.buffers.size();
  if (is_buffer && parts.buffers[token.number].source != CloneBufferSource::kInline) {
    return absl::InvalidArgumentError("is not inside the clone, which leaves its sandbox");
  }
  return absl::OkStatus();
}

// Whether a buffer has its bytes where they may be as this field; what else fits, grammar.h knows.
absl::Status CheckSource(const CloneParts& parts, const CloneField& field,
                         const CloneToken& token) {
  if (token.tag != CloneTag::kBuffer || field.sources == 0) return absl::OkStatus();
  if (token.number >= parts.buffers.size()) return absl::OkStatus();
  const CloneBufferSource source = parts.buffers[token.number].source;
  if ((field.sources & SourceBit(source)) != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no ", CloneSourceName(source), " buffer belongs here"));
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
  CloneGrammar grammar(limits, parts.buffers.size());
  size_t offset = 0;
  CloneToken token;
  while (!grammar.complete()) {
    if (absl::Status read = ReadToken(parts.value, &offset, &token); !read.ok()) {
      return Wrong(token.offset, grammar.Path(parts.value), read.message());
    }
    absl::Status fits = CheckSource(parts, grammar.Expected(), token);
    if (buffers == CloneBuffers::kInline) fits.Update(CheckBorder(parts, token));
    if (!fits.ok()) return Wrong(token.offset, grammar.Path(parts.value), fits.message());
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
