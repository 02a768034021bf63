#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/grammar.h"
#include "sandbox/clone/layout.h"
#include "sandbox/clone/value.h"
#include "sandbox/clone/value_token.h"

namespace cloister::sandbox {
namespace {

// Of a number that stands in `shared` and is referred to more than once.
constexpr size_t kMaxRepeatedBytes = 16;

using google::protobuf::RepeatedPtrField;

// Writes a clone of Values.
class ValueWriter {
 public:
  explicit ValueWriter(const CloneLimits& limits)
      : limits_(limits), grammar_(limits, limits.buffers) {
    BeginClone(&clone_);
  }

  // An outermost Value with its `shared`. INVALID_ARGUMENT as CloneFromValue() has it.
  absl::Status Write(const v1::Value& root);
  // A token that no Value is.
  absl::Status WriteToken(CloneToken token);
  absl::Status WriteText(const std::string& text);
  absl::StatusOr<std::string> End();

 private:
  static constexpr uint32_t kNotNumbered = std::numeric_limits<uint32_t>::max();

  // An entry of `shared`.
  struct Shared {
    uint32_t references = 0;
    uint32_t number = kNotNumbered;  // once it is written with one
    bool is_written = false;
  };

  // A Value whose children are being written.
  struct Frame {
    ValueChildren children;
    int next = 0;
  };

  absl::Status CountReferences(const v1::Value& root);
  absl::Status CheckAllWritten() const;
  // Writes the token of a Value, and opens it if it has children.
  absl::Status Visit(const v1::Value& root, const v1::Value& value);
  absl::Status VisitReference(const v1::Value& root, uint32_t index);
  absl::Status VisitValue(const v1::Value& value, Shared* shared);
  absl::Status Wrong(absl::string_view what) const;

  const CloneLimits limits_;
  CloneGrammar grammar_;
  std::string clone_;
  std::vector<CloneBufferSpec> buffers_;
  uint32_t next_number_ = 0;
  ValueToken tokens_;
  // Of the outermost Value that is being written.
  std::vector<Shared> shared_;
  std::vector<Frame> frames_;
};

absl::Status ValueWriter::Wrong(absl::string_view what) const {
  std::string_view value = clone_;
  value.remove_prefix(kCloneHeaderBytes);
  return absl::InvalidArgumentError(absl::StrCat(grammar_.Path(value), ": ", what));
}

absl::Status ValueWriter::Write(const v1::Value& root) {
  CLOISTER_RETURN_IF_ERROR(CountReferences(root));
  CLOISTER_RETURN_IF_ERROR(Visit(root, root));
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.next == frame.children.count()) {
      frames_.pop_back();
      continue;
    }
    CLOISTER_RETURN_IF_ERROR(Visit(root, frame.children.at(frame.next++)));
  }
  return CheckAllWritten();
}

absl::Status ValueWriter::CountReferences(const v1::Value& root) {
  // What is shared counts twice here, once more than where it is written.
  const size_t most = 2 * limits_.values;
  size_t found = 1 + static_cast<size_t>(root.shared_size());
  std::vector<const v1::Value*> left = {&root};
  shared_.clear();
  if (found <= most) {
    shared_.resize(static_cast<size_t>(root.shared_size()));
    for (const v1::Value& shared : root.shared()) left.push_back(&shared);
  }
  while (!left.empty() && found <= most) {
    const v1::Value& value = *left.back();
    left.pop_back();
    if (value.kind_case() == v1::Value::kReference && value.reference() < shared_.size()) {
      ++shared_[value.reference()].references;
    }
    const ValueChildren children = ChildrenOf(value);
    found += static_cast<size_t>(children.count());
    if (found > most) break;
    for (const auto* each : {children.keys, children.items}) {
      if (each == nullptr) continue;
      for (const v1::Value& child : *each) left.push_back(&child);
    }
  }
  if (found > most) return Wrong(absl::StrCat("more than ", limits_.values, " values"));
  return absl::OkStatus();
}

absl::Status ValueWriter::CheckAllWritten() const {
  for (size_t i = 0; i < shared_.size(); ++i) {
    if (shared_[i].is_written) continue;
    return absl::InvalidArgumentError(absl::StrCat("shared[", i, "]: nothing refers to it"));
  }
  return absl::OkStatus();
}

absl::Status ValueWriter::Visit(const v1::Value& root, const v1::Value& value) {
  if (value.shared_size() > 0 && &value != &root) {
    return Wrong("`shared` is of the outermost Value only");
  }
  if (value.kind_case() == v1::Value::kReference) return VisitReference(root, value.reference());
  return VisitValue(value, nullptr);
}

absl::Status ValueWriter::VisitReference(const v1::Value& root, uint32_t index) {
  if (index >= shared_.size()) {
    return Wrong(absl::StrCat("refers to shared[", index, "], and there are ", shared_.size()));
  }
  Shared& shared = shared_[index];
  if (shared.number != kNotNumbered) {
    return WriteToken({.tag = CloneTag::kReference, .number = shared.number});
  }
  const v1::Value& value = root.shared(static_cast<int>(index));
  if (value.shared_size() > 0) return Wrong("`shared` is of the outermost Value only");
  shared.is_written = true;
  return VisitValue(value, &shared);
}

absl::Status ValueWriter::VisitValue(const v1::Value& value, Shared* shared) {
  CloneToken token;
  if (absl::Status made = tokens_.Make(value, &token); !made.ok()) return Wrong(made.message());
  if (token.tag == CloneTag::kBuffer) {
    token.number = buffers_.size();
    buffers_.push_back({.content = value.buffer_value()});
  }
  if (shared != nullptr && shared->references > 1) {
    if (IsNumbered(token.tag)) {
      token.numbered = true;
      shared->number = next_number_++;
    } else if (token.tag == CloneTag::kBuffer || token.bytes.size() > kMaxRepeatedBytes) {
      // It would be written for each reference: megabytes of a few bytes.
      return Wrong(
          "refers to a large number or a buffer that other references have, too; repeat it");
    }
  }
  CLOISTER_RETURN_IF_ERROR(WriteToken(token));
  const ValueChildren children = ChildrenOf(value);
  if (children.count() > 0) frames_.push_back({children});
  return absl::OkStatus();
}

absl::Status ValueWriter::WriteToken(CloneToken token) {
  token.offset = clone_.size();
  if (clone_.size() + token.bytes.size() > limits_.bytes) {
    return Wrong(absl::StrCat("clone is larger than ", limits_.bytes, " bytes"));
  }
  absl::Status taken = grammar_.Take(token);
  if (!taken.ok()) return Wrong(taken.message());
  AppendCloneToken(token, &clone_);
  return absl::OkStatus();
}

absl::Status ValueWriter::WriteText(const std::string& text) {
  const std::optional<CloneTag> tag = TextTag(text);
  if (!tag.has_value() || *tag == CloneTag::kWtf8) return Wrong("the name is no UTF-8");
  return WriteToken({.tag = *tag, .bytes = text});
}

absl::StatusOr<std::string> ValueWriter::End() {
  if (absl::Status ended = EndClone(buffers_, limits_, &clone_); !ended.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("$: ", ended.message()));
  }
  return std::move(clone_);
}

}  // namespace

absl::StatusOr<std::string> CloneFromValue(const v1::Value& value, const CloneLimits& limits) {
  ValueWriter writer(limits);
  CLOISTER_RETURN_IF_ERROR(writer.Write(value));
  return writer.End();
}

absl::StatusOr<std::string> TupleCloneFromValues(const RepeatedPtrField<v1::Value>& values,
                                                 const CloneLimits& limits) {
  ValueWriter writer(limits);
  const auto count = static_cast<uint64_t>(values.size());
  CLOISTER_RETURN_IF_ERROR(writer.WriteToken({.tag = CloneTag::kTuple, .number = count}));
  for (const v1::Value& value : values) CLOISTER_RETURN_IF_ERROR(writer.Write(value));
  return writer.End();
}

absl::StatusOr<std::string> DictCloneFromValues(
    const google::protobuf::Map<std::string, v1::Value>& values, const CloneLimits& limits) {
  ValueWriter writer(limits);
  CLOISTER_RETURN_IF_ERROR(writer.WriteToken({.tag = CloneTag::kDict, .number = values.size()}));
  std::vector<const std::string*> names;
  names.reserve(values.size());
  for (const auto& [name, value] : values) names.push_back(&name);
  std::sort(names.begin(), names.end(),
            [](const std::string* a, const std::string* b) { return *a < *b; });
  for (const std::string* name : names) {
    CLOISTER_RETURN_IF_ERROR(writer.WriteText(*name));
    CLOISTER_RETURN_IF_ERROR(writer.Write(values.at(*name)));
  }
  return writer.End();
}

}  // namespace cloister::sandbox
