// Which tokens may follow one another in a clone (proto/CLONE.md, from "Values" on): every rule
// that is not about the form of a single token. Readers and writers alike tell it each token, so
// both obey the same rules.
//
// Memory: two bytes for each numbered object, and a frame for each value that is open.
// Thread-safety: none.

#ifndef CLOISTER_SANDBOX_CLONE_GRAMMAR_H_
#define CLOISTER_SANDBOX_CLONE_GRAMMAR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sandbox/clone/format.h"
#include "sandbox/clone/shape.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {

class CloneGrammar {
 public:
  // Of a clone with so many buffers; a writer who does not know yet gives the limit.
  CloneGrammar(const CloneLimits& limits, size_t buffer_count)
      : limits_(limits), buffer_count_(buffer_count) {}

  // The next token. INVALID_ARGUMENT: what is wrong with it here, without the place, which Path()
  // knows; then no further token may come.
  absl::Status Take(const CloneToken& token);

  // What may come next; not for a complete value.
  const CloneField& Expected() const;

  // Whether the outermost value is there as a whole.
  bool complete() const { return complete_; }
  size_t buffers_used() const { return buffers_used_; }

  // Where in the clone the value with the fault begins.
  size_t offset() const { return offset_; }

  // The way to the value with the fault, or to the one that should come next. `value`: the value
  // bytes up to it.
  std::string Path(std::string_view value) const;

  // Of each numbered object, whether a REFERENCE means it.
  std::vector<bool> Referenced() const;

 private:
  // A numbered object.
  struct Object {
    CloneType type;
    uint8_t flags;
  };

  // A value whose fields are being read.
  struct Frame {
    const CloneShape* shape = nullptr;
    uint64_t count = 0;
    uint64_t next = 0;       // the field that is being read, or comes next
    size_t offset = 0;       // in the clone
    size_t key_offset = 0;   // of the latest key among the fields, in the clone
    uint32_t number = 0;     // of the object, if it has one
    uint32_t run_start = 0;  // see below
    CloneType type = {};
    bool is_hashable = true;  // all fields so far
  };

  absl::Status CheckType(const CloneField& field, CloneType type) const;
  absl::Status TakeReference(const CloneField& field, uint64_t number);
  absl::Status TakeBuffer(uint64_t number);
  // Begins a value with `count` fields.
  absl::Status Open(const CloneField& field, const CloneToken& token, CloneType type,
                    uint32_t number);
  // A value is there as a whole, and so may be those around it.
  absl::Status Close(size_t offset, bool is_hashable);
  void SetFlags(uint32_t number, uint8_t flags);

  const CloneLimits limits_;
  const size_t buffer_count_;
  size_t values_ = 0;
  size_t buffers_used_ = 0;
  size_t offset_ = kCloneHeaderBytes;
  bool complete_ = false;
  std::vector<Object> objects_;
  // From the outermost value to the innermost. Where the innermost are TUPLEs and FROZENSETs alone,
  // the numbers of those among them that have one begin at run_start of the last.
  std::vector<Frame> frames_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_GRAMMAR_H_
