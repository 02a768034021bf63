#include "tests/unit/sandbox_clone/random_clone.h"

#include <utility>
#include <vector>

#include "sandbox/clone/layout.h"
#include "sandbox/clone/shape.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxProposals = 2000;
constexpr CloneLimits kLimits = {.depth = 100};

}  // namespace

std::string RandomClone::Make() {
  std::string clone;
  while (clone.empty()) clone = Try();
  return clone;
}

std::string RandomClone::Try() {
  grammar_ = std::make_unique<CloneGrammar>(kLimits, kLimits.buffers);
  sources_.clear();
  descriptors_ = 0;
  numbered_ = 0;
  left_ = 1 + Below(400);
  std::string clone;
  BeginClone(&clone);
  for (size_t proposals = 0; !grammar_->complete(); ++proposals) {
    if (proposals > kMaxProposals) return "";
    CloneToken token = Propose();
    // Most values are small, so many of them together.
    const bool is_outermost = clone.size() == kCloneHeaderBytes;
    if (is_outermost && Below(8) > 0) token = {.tag = CloneTag::kList, .number = Below(40)};
    const CloneField& field = grammar_->Expected();
    auto next = std::make_unique<CloneGrammar>(*grammar_);
    token.offset = clone.size();
    if (!next->Take(token).ok()) continue;
    if (token.tag == CloneTag::kBuffer && !ProposeSource(field)) return "";
    grammar_ = std::move(next);
    proposals = 0;
    if (token.numbered) ++numbered_;
    if (left_ > 0) --left_;
    AppendCloneToken(token, &clone);
  }
  Finish(&clone);
  return clone;
}

bool RandomClone::ProposeSource(const CloneField& field) {
  CloneBufferSource source = CloneBufferSource::kInline;
  if ((field.sources & SourceBit(source)) == 0 || (handles_ == Handles::kSome && Below(3) == 0)) {
    source = (field.sources & SourceBit(CloneBufferSource::kDescriptor)) != 0
                 ? CloneBufferSource::kDescriptor
                 : CloneBufferSource::kShared;
  }
  sources_.push_back(source);
  if (HasDescriptor(source)) ++descriptors_;
  return descriptors_ <= kLimits.descriptors;
}

void RandomClone::Finish(std::string* clone) {
  const std::string content(40, 'b');
  std::vector<CloneBufferSpec> specs;
  uint32_t descriptor = 0;
  for (const CloneBufferSource source : sources_) {
    CloneBufferSpec spec = {.source = source};
    if (HasDescriptor(source)) spec.index = descriptor++;
    if (source == CloneBufferSource::kInline) {
      spec.content = std::string_view(content).substr(0, Below(content.size()));
    } else if (source == CloneBufferSource::kShared) {
      spec.offset = Below(10'000);
      spec.size = Below(1'000'000);
    }
    specs.push_back(spec);
  }
  EndClone(specs, CloneLimits{}, clone).IgnoreError();
}

CloneToken RandomClone::Propose() {
  CloneToken token;
  if (Below(6) == 0 && numbered_ > 0) {
    token.tag = CloneTag::kReference;
    token.number = Below(numbered_);
    return token;
  }
  // A container that has to be hashable may turn out not to be, when it is too late.
  const size_t leaves = grammar_->Expected().is_hashable ? 20 : left_ > 100 ? 1 : left_ > 0 ? 2 : 4;
  if (Below(leaves + 1) > 0) {
    ProposeLeaf(&token);
  } else {
    ProposeContainer(&token);
  }
  token.numbered = IsNumbered(token.tag) && Below(2) == 0;
  return token;
}

void RandomClone::ProposeLeaf(CloneToken* token) {
  token->tag = static_cast<CloneTag>(Below(static_cast<size_t>(CloneTag::kBytearray) + 2));
  content_.clear();
  switch (token->tag) {
    case CloneTag::kInt8:
    case CloneTag::kInt32:
    case CloneTag::kInt64: {
      const auto number =
          static_cast<int64_t>((uint64_t{random_()} << 32 | random_()) >> Below(64));
      token->tag = IntTag(number);
      token->number = static_cast<uint64_t>(number);
      return;
    }
    case CloneTag::kBigInt:
      content_ = std::string(8 + Below(20), static_cast<char>(random_())) + '\x55';
      break;
    case CloneTag::kFloat:
    case CloneTag::kComplex:
      for (int i = 0; i < (token->tag == CloneTag::kFloat ? 8 : 16); ++i) {
        content_.push_back(static_cast<char>(random_()));
      }
      break;
    case CloneTag::kAscii:
    case CloneTag::kUtf8:
    case CloneTag::kWtf8:
      ProposeText(token->tag);
      break;
    case CloneTag::kBytes:
    case CloneTag::kBytearray:
      for (size_t i = Below(20); i > 0; --i) content_.push_back(static_cast<char>(random_()));
      break;
    case CloneTag::kTuple:  // one past the leaves, here for BUFFER
      token->tag = CloneTag::kBuffer;
      token->number = sources_.size();
      return;
    default:
      return;
  }
  token->bytes = content_;
}

void RandomClone::ProposeText(CloneTag tag) {
  for (size_t i = Below(20); i > 0; --i) content_.push_back(static_cast<char>(random_() % 0x80));
  if (tag == CloneTag::kUtf8) content_ += "\xF0\x9F\x90\x8D";
  if (tag == CloneTag::kWtf8) content_ += "\xC3\xA9\xED\xA0\x80\xED\xB0\x80";
}

void RandomClone::ProposeContainer(CloneToken* token) {
  const size_t tags =
      static_cast<size_t>(CloneTag::kObject) - static_cast<size_t>(CloneTag::kTuple);
  const size_t kinds =
      handles_ == Handles::kSome ? kCloneKindCount : static_cast<size_t>(CloneKind::kSharedBuffer);
  const size_t chosen = Below(tags + kinds);
  const size_t more = left_ > 100 ? Below(12) : left_ > 0 ? Below(6) : Below(3) / 2;
  if (chosen < tags) {
    token->tag = static_cast<CloneTag>(static_cast<size_t>(CloneTag::kTuple) + chosen);
    token->number = more;
    return;
  }
  token->tag = CloneTag::kObject;
  token->kind = static_cast<CloneKind>(chosen - tags);
  const CloneShape& shape = ShapeOf(TypeOf(token->kind));
  token->number = shape.first.size() + more * shape.rest.size();
}

}  // namespace cloister::sandbox
