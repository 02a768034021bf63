// The way from a clone to Python objects.
//
// One decoder reads one clone, of which nothing is trusted: every number is held against what is
// left of it. All containers are whole objects at any time, if not yet filled ones, so that other
// threads, which run while the standard library's code or a hook does, meet nothing but those.
// Errors: null or false with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_DECODER_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/clone/format.h"
#include "sandbox/clone/layout.h"
#include "sandbox/clone/varint.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/clone/clone_types.h"
#include "sandbox/guest/clone/key_check.h"

namespace cloister::sandbox {

class CloneDecoder {
 public:
  CloneDecoder(std::string_view clone, const CloneLimits& limits, CloneHandles* handles);
  CloneDecoder(const CloneDecoder&) = delete;
  CloneDecoder& operator=(const CloneDecoder&) = delete;
  ~CloneDecoder();

  PyRef Decode();

 private:
  // What a number means. Without an object it does not exist yet.
  struct Numbered {
    PyObject* object = nullptr;  // owned
    // Of a registered type: made without its hook where its own state refers to it.
    PyTypeObject* registered = nullptr;
  };
  static constexpr size_t kNoNumber = ~size_t{0};

  // decode_value.cc; all return a new reference.
  PyObject* Value();
  // The same, for containers that are as fast as it is; decode_fast.h.
  inline PyObject* FastValue();
  PyObject* TooMany();
  PyObject* Reference();
  PyObject* Plain(CloneTag tag);
  PyObject* BigInt();
  PyObject* Keep(PyObject* object, bool is_numbered);

  // decode_text.cc
  PyObject* Ascii();
  PyObject* Utf8();
  PyObject* Wtf8();
  PyObject* ByteString(bool is_mutable);

  // decode_containers.cc
  PyObject* Tuple(bool is_numbered);
  PyObject* List(bool is_numbered);
  PyObject* Set(bool is_numbered, bool is_frozen);
  PyObject* Dict(bool is_numbered);
  PyObject* FrozenDict(bool is_numbered);
  bool Entries(PyObject* dict, uint64_t count);
  bool IsKey(PyObject* object);

  // decode_object.cc
  PyObject* Object(bool is_numbered);
  PyRef Make(CloneKind kind, uint64_t count, size_t number);
  PyRef Registered(uint64_t count, size_t number);
  void NameProblem();

  // decode_collections.cc
  PyRef Deque(uint64_t count, size_t number);
  PyRef Mapping(CloneKind kind, uint64_t count, size_t number);
  PyRef Namespace(uint64_t count, size_t number);

  // decode_stdlib.cc
  PyRef Moment(CloneKind kind, uint64_t count);
  PyRef TimeZone(uint64_t count);
  PyRef Number(CloneKind kind, uint64_t count);
  PyRef Uuid(uint64_t count);
  PyRef Named(CloneKind kind, uint64_t count);
  PyRef Pattern(uint64_t count);
  PyRef RangeOrSlice(CloneKind kind, uint64_t count);
  // PyDateTime_CAPI, which has no name that could be declared.
  const void* DateTimes();

  // decode_records.cc
  PyRef Global(uint64_t count);
  PyRef EnumMember(uint64_t count);
  PyRef Dataclass(uint64_t count, size_t number);
  PyRef NamedTuple(uint64_t count);
  PyRef Class();

  // decode_exception.cc
  PyRef Exception(uint64_t count, size_t number);
  PyRef RemoteError(uint64_t count, size_t number);
  bool ExceptionEnd(PyObject* exception, PyTypeObject* native);
  PyRef Frames();

  // decode_arrays.cc
  PyRef Array(uint64_t count);
  PyRef MemoryView(uint64_t count);
  PyRef NumpyArray(uint64_t count);
  bool Buffer(std::string_view* bytes);
  // Reads BUFFER; what the table says of it.
  bool TableEntry(CloneBuffer* buffer);
  // The `count` fields that are left of an array.
  PyRef Shape(uint64_t count);

  // decode_handles.cc
  PyRef Handle(CloneKind kind, uint64_t count);
  bool HandleFields(CloneKind kind, uint64_t count, CloneHandle* handle);
  bool Descriptor(CloneBufferSource source, CloneHandle* handle);
  static constexpr size_t kMaxHandleNameBytes = 64;

  // decoder.cc
  PyObject* Damaged(const char* what);
  PyObject* Fail(const std::string& message);
  bool Varint(uint64_t* number);
  // A count of things of which each takes some bytes at least: two where they are pairs.
  enum class Of { kOnes, kPairs };
  bool Count(uint64_t* count, Of what = Of::kOnes) {
    // Most are small.
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
      *count = static_cast<uint8_t>(*at_++);
    } else if (!Varint(count)) {
      return false;
    }
    return *count <= left() >> (what == Of::kPairs ? 1 : 0) || EndsEarly();
  }
  bool EndsEarly();
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  template <typename T>
  bool Fixed(T* number) {
    if (left() < sizeof(T)) return EndsEarly();
    memcpy(number, at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }

  // A field of one type, whose range is checked.
  PyRef Field() { return PyRef::Steal(Value()); }
  PyRef Text();
  PyRef IntObject();
  bool Int(int* number);
  bool Bool(bool* value);
  bool HasFields(uint64_t count, uint64_t expected);

  size_t NewNumber(bool is_numbered);
  // The object exists now.
  void Exists(size_t number, PyObject* object);

  // One more level of values in values, while it lives; hashing stops at what is within.
  class Level {
   public:
    Level(CloneDecoder& decoder, uint64_t count, bool is_content)
        : decoder_(decoder), barrier_(decoder.barrier_) {
      if (!is_content) decoder.barrier_ = decoder.open_.size();
      const size_t depth = ++decoder.depth_;
      if (depth % kLevelsPerStackCheck == 0 || depth >= decoder.limits_.depth) Check(count > 0);
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() {
      --decoder_.depth_;
      decoder_.barrier_ = barrier_;
      if (is_counted_) Py_LeaveRecursiveCall();
    }
    bool is_too_deep() const { return is_too_deep_; }

   private:
    // How many levels use the C stack before CPython is asked whether there is enough of it.
    static constexpr size_t kLevelsPerStackCheck = 16;
    void Check(bool has_values);

    CloneDecoder& decoder_;
    const size_t barrier_;
    bool is_too_deep_ = false;
    bool is_counted_ = false;
  };

  const std::string_view clone_;
  const CloneLimits limits_;
  CloneHandles* const handles_;  // null where none can come
  CloneTypes& types_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::vector<Numbered> numbered_;
  std::vector<PyObject*> open_;  // tuples and frozensets that are being read, borrowed
  size_t barrier_ = 0;           // those of open_ from here on hold the next value themselves
  KeyChecker keys_{types_, open_};
  size_t values_ = 0;
  size_t depth_ = 0;
  std::vector<CloneBuffer> buffers_;
  size_t next_buffer_ = 0;
  const void* date_times_ = nullptr;
  PyRef known_dataclass_;  // one that was looked at
  bool hook_raised_ = false;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_DECODER_H_
