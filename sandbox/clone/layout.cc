#include "sandbox/clone/layout.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kVersionAt = sizeof(kCloneMagic);
constexpr size_t kBufferCountAt = 4;
constexpr size_t kValueBytesAt = 8;

template <typename Number>
Number Load(const char* at) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number |= static_cast<Number>(Number{static_cast<uint8_t>(at[i])} << (8 * i));
  }
  return number;
}

template <typename Number>
void Store(Number number, char* at) {
  for (size_t i = 0; i < sizeof(Number); ++i) at[i] = static_cast<char>(number >> (8 * i));
}

uint64_t AlignUp(uint64_t offset) {
  return (offset + kCloneBufferAlignment - 1) / kCloneBufferAlignment * kCloneBufferAlignment;
}

absl::Status Wrong(size_t offset, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("clone, byte ", offset, ": ", what));
}

absl::Status TooLarge(const CloneLimits& limits) {
  return absl::InvalidArgumentError(absl::StrCat("clone is larger than ", limits.bytes, " bytes"));
}

absl::Status TooManyBuffers(const CloneLimits& limits) {
  return absl::InvalidArgumentError(absl::StrCat("more than ", limits.buffers, " buffers"));
}

struct Header {
  uint32_t buffer_count;
  uint64_t value_bytes;
};

absl::StatusOr<Header> ParseHeader(std::string_view clone, const CloneLimits& limits) {
  if (clone.size() > limits.bytes) return TooLarge(limits);
  if (clone.size() < kCloneHeaderBytes) return Wrong(clone.size(), "ends inside the header");
  if (std::memcmp(clone.data(), kCloneMagic, sizeof(kCloneMagic)) != 0) {
    return Wrong(0, "is no clone");
  }
  const auto version = static_cast<uint8_t>(clone[kVersionAt]);
  if (version != kCloneVersion) {
    return Wrong(kVersionAt, absl::StrCat("version ", version, " and not ", kCloneVersion));
  }
  const Header header{.buffer_count = Load<uint32_t>(clone.data() + kBufferCountAt),
                      .value_bytes = Load<uint64_t>(clone.data() + kValueBytesAt)};
  if (header.buffer_count > limits.buffers) return TooManyBuffers(limits);
  const size_t left = clone.size() - kCloneHeaderBytes;
  if (header.value_bytes > left) return Wrong(kValueBytesAt, "the value is larger than the clone");
  if (header.buffer_count > (left - header.value_bytes) / kCloneBufferEntryBytes) {
    return Wrong(kBufferCountAt, "the buffer table is larger than the clone");
  }
  return header;
}

// Checks an INLINE entry at `at` against `end`, where what is before it ends, and moves that.
absl::Status CheckInline(std::string_view clone, size_t at, const CloneBuffer& buffer,
                         uint64_t* end) {
  const uint64_t begin = AlignUp(*end);
  if (buffer.index != 0) return Wrong(at, "an inline buffer has an index");
  if (buffer.offset != begin) {
    return Wrong(at, absl::StrCat("an inline buffer is at ", buffer.offset, " and not at ", begin));
  }
  if (begin > clone.size() || buffer.size > clone.size() - begin) {
    return Wrong(at, "an inline buffer ends behind the clone");
  }
  for (uint64_t i = *end; i < begin; ++i) {
    if (clone[i] != 0) return Wrong(i, "padding is not 0");
  }
  *end = begin + buffer.size;
  return absl::OkStatus();
}

absl::Status CheckElsewhere(size_t at, const CloneBuffer& buffer) {
  switch (buffer.source) {
    case CloneBufferSource::kShared:
      if (buffer.offset + buffer.size < buffer.size) return Wrong(at, "a buffer has no end");
      return absl::OkStatus();
    case CloneBufferSource::kMoved:
      if (buffer.offset != 0) return Wrong(at, "a moved buffer has an offset");
      return absl::OkStatus();
    case CloneBufferSource::kDescriptor:
      if (buffer.offset != 0 || buffer.size != 0) return Wrong(at, "a descriptor has a size");
      return absl::OkStatus();
    default:
      return Wrong(at, "a buffer of no known source");
  }
}

// Counts an entry at `at` whose descriptor travels beside the clone: they come in turn.
absl::Status CountDescriptor(size_t at, const CloneBuffer& buffer, const CloneLimits& limits,
                             size_t* count) {
  if (!HasDescriptor(buffer.source)) return absl::OkStatus();
  if (buffer.index != *count) {
    return Wrong(at, absl::StrCat("descriptor ", buffer.index, " is named and not ", *count));
  }
  if (++*count > limits.descriptors) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", limits.descriptors, " descriptors"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CloneParts> ParseClone(std::string_view clone, const CloneLimits& limits) {
  CLOISTER_ASSIGN_OR_RETURN(const Header header, ParseHeader(clone, limits));
  CloneParts parts;
  parts.value = clone.substr(kCloneHeaderBytes, header.value_bytes);
  size_t at = kCloneHeaderBytes + header.value_bytes;
  uint64_t end = at + header.buffer_count * kCloneBufferEntryBytes;
  parts.buffers.reserve(header.buffer_count);
  for (uint32_t i = 0; i < header.buffer_count; ++i, at += kCloneBufferEntryBytes) {
    const char* entry = clone.data() + at;
    const CloneBuffer buffer{.source = CloneBufferSource{Load<uint32_t>(entry)},
                             .index = Load<uint32_t>(entry + 4),
                             .offset = Load<uint64_t>(entry + 8),
                             .size = Load<uint64_t>(entry + 16)};
    const bool is_inline = buffer.source == CloneBufferSource::kInline;
    CLOISTER_RETURN_IF_ERROR(is_inline ? CheckInline(clone, at, buffer, &end)
                                       : CheckElsewhere(at, buffer));
    CLOISTER_RETURN_IF_ERROR(CountDescriptor(at, buffer, limits, &parts.descriptor_count));
    parts.buffers.push_back(buffer);
  }
  if (end != clone.size()) return Wrong(end, "there is more behind the end");
  return parts;
}

void BeginClone(std::string* clone) { clone->append(kCloneHeaderBytes, '\0'); }

absl::Status EndClone(absl::Span<const CloneBufferSpec> buffers, const CloneLimits& limits,
                      std::string* clone) {
  if (buffers.size() > limits.buffers) return TooManyBuffers(limits);
  const size_t table = clone->size();
  const uint64_t table_end = table + buffers.size() * kCloneBufferEntryBytes;
  uint64_t end = table_end;
  for (const CloneBufferSpec& buffer : buffers) {
    if (buffer.source == CloneBufferSource::kInline) end = AlignUp(end) + buffer.content.size();
  }
  if (end > limits.bytes) return TooLarge(limits);

  std::memcpy(clone->data(), kCloneMagic, sizeof(kCloneMagic));
  (*clone)[kVersionAt] = static_cast<char>(kCloneVersion);
  Store(static_cast<uint32_t>(buffers.size()), clone->data() + kBufferCountAt);
  Store(uint64_t{table - kCloneHeaderBytes}, clone->data() + kValueBytesAt);
  clone->reserve(end);
  clone->resize(table_end);
  for (size_t i = 0; i < buffers.size(); ++i) {
    const CloneBufferSpec& buffer = buffers[i];
    uint64_t offset = buffer.offset;
    uint64_t size = buffer.size;
    if (buffer.source == CloneBufferSource::kInline) {
      offset = AlignUp(clone->size());
      size = buffer.content.size();
      clone->resize(offset);
      clone->append(buffer.content);
    }
    char* entry = clone->data() + table + i * kCloneBufferEntryBytes;
    Store(static_cast<uint32_t>(buffer.source), entry);
    Store(buffer.index, entry + 4);
    Store(offset, entry + 8);
    Store(size, entry + 16);
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
