// Atomic operations on whole words of shared memory, sequentially consistent.
//
// Thread-safety: any thread; `word` is aligned to its width.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_ATOMICS_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_ATOMICS_H_

#include <cstdint>

namespace cloister::sandbox {

enum class AtomicOperation : uint8_t {
  kLoad,
  kStore,
  kExchange,
  kCompareExchange,
  kAdd,
  kSubtract,
  kAnd,
  kOr,
  kXor
};

// What the word was before. `expected` is of kCompareExchange, which stores only where the word is
// that.
template <typename Word>
Word Apply(AtomicOperation operation, Word* word, Word operand, Word expected) {
  switch (operation) {
    case AtomicOperation::kLoad:
      break;
    case AtomicOperation::kStore:
    case AtomicOperation::kExchange:
      return __atomic_exchange_n(word, operand, __ATOMIC_SEQ_CST);
    case AtomicOperation::kCompareExchange:
      __atomic_compare_exchange_n(word, &expected, operand, false, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST);
      return expected;
    case AtomicOperation::kAdd:
      return __atomic_fetch_add(word, operand, __ATOMIC_SEQ_CST);
    case AtomicOperation::kSubtract:
      return __atomic_fetch_sub(word, operand, __ATOMIC_SEQ_CST);
    case AtomicOperation::kAnd:
      return __atomic_fetch_and(word, operand, __ATOMIC_SEQ_CST);
    case AtomicOperation::kOr:
      return __atomic_fetch_or(word, operand, __ATOMIC_SEQ_CST);
    case AtomicOperation::kXor:
      return __atomic_fetch_xor(word, operand, __ATOMIC_SEQ_CST);
  }
  return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_ATOMICS_H_
