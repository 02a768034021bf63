// Valid clones of all sorts, the same for the same seed.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_CLONE_RANDOM_CLONE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_CLONE_RANDOM_CLONE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "sandbox/clone/grammar.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {

// Proposes tokens until the grammar has a value.
//
// Thread-safety: none.
class RandomClone {
 public:
  enum class Handles { kNone, kSome };

  explicit RandomClone(uint32_t seed, Handles handles = Handles::kNone)
      : random_(seed), handles_(handles) {}

  // A clone of some hundred values.
  std::string Make();

 private:
  size_t Below(size_t bound) { return random_() % bound; }

  // Empty where it came to a point from which nothing leads on.
  std::string Try();
  // A token whose content is in content_; it may not fit.
  CloneToken Propose();
  void ProposeLeaf(CloneToken* token);
  void ProposeContainer(CloneToken* token);
  void ProposeText(CloneTag tag);
  // Of a buffer that was taken; false where there are too many descriptors.
  bool ProposeSource(const CloneField& field);
  // The buffers.
  void Finish(std::string* clone);

  std::mt19937 random_;
  const Handles handles_;
  std::unique_ptr<CloneGrammar> grammar_;
  std::string content_;
  // Of all buffers so far, and how many descriptors they name.
  std::vector<CloneBufferSource> sources_;
  uint32_t descriptors_ = 0;
  size_t numbered_ = 0;
  size_t left_ = 0;  // values until only short ones are proposed
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_CLONE_RANDOM_CLONE_H_
