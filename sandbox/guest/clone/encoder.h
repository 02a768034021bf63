// The walk from a Python object to its clone.
//
// One encoder makes one clone. Nothing is changed in the value, and nothing is kept of it.
// Errors: methods return false with either problem_ or a Python exception set; those in between
// add the way to the culprit to path_.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_ENCODER_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_ENCODER_H_

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/clone/format.h"
#include "sandbox/guest/clone/clone_bytes.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/clone/clone_memo.h"
#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/clone/clone_types.h"
#include "sandbox/guest/clone/key_check.h"

namespace cloister::sandbox {

class CloneEncoder {
 public:
  CloneEncoder(const CloneLimits& limits, CloneHandles* handles);

  // False with a Python exception set, and `clone` as it was.
  bool Encode(PyObject* value, CloneBytes* clone);

 private:
  // What became of the start of an object.
  enum class Start { kNew, kReference, kFailed };
  // When an object can be referred to: from its tag on, or once Complete() is called for it.
  enum class Exists { kAtOnce, kLater };

  // encode_value.cc
  bool Value(PyObject* object);
  // The same, for the walks that are as fast as it is; encode_fast.h.
  inline bool FastValue(PyObject* object);
  inline bool FastText(PyObject* text);
  inline bool FastInt(PyObject* number);
  inline Start FastBegin(PyObject* object, CloneTag tag);
  bool TooMany();
  bool Compound(PyObject* object, PyTypeObject* type);
  bool LargeInt(PyObject* number);
  bool IntField(int64_t number);
  bool WideText(PyObject* text);
  bool ByteString(PyObject* object, CloneTag tag, const char* bytes, size_t size);
  // Encodes and keeps what was made for the clone alone.
  bool Field(PyRef made);
  bool TextField(std::string_view text);
  Start Begin(PyObject* object, CloneTag tag, Exists exists = Exists::kAtOnce);
  Start BeginObject(PyObject* object, CloneKind kind, size_t count, Exists exists);

  // encode_containers.cc
  bool Tuple(PyObject* tuple);
  bool List(PyObject* list);
  bool Set(PyObject* set, CloneTag tag);
  bool SetItems(PyObject* set);
  bool Dict(PyObject* dict, CloneTag tag, Exists exists);
  // Keys and values of a dict that has `count` of them.
  bool Entries(PyObject* dict, Py_ssize_t count);
  bool Key(PyObject* key, Py_ssize_t index);
  bool ValueOf(PyObject* key, PyObject* value);
  bool IsKey(PyObject* object);

  // encode_object.cc: the forms of what is no builtin container.
  enum class Form {
    kRegistered,
    kException,
    kGlobal,
    kKnown,
    kHandle,
    kEnumMember,
    kNamedTuple,
    kDataclass,
    kNone
  };
  struct TypeForm {
    PyTypeObject* type = nullptr;
    Form form = Form::kNone;
    const KnownType* known = nullptr;
    const CloneHandleType* handle = nullptr;
    PyObject* hooks = nullptr;
  };
  bool Object(PyObject* object, PyTypeObject* type);
  TypeForm FormOf(PyObject* object, PyTypeObject* type);
  bool Known(PyObject* object, CloneKind kind, const char* name);
  bool Registered(PyObject* object, PyObject* hooks);

  // encode_collections.cc
  bool Deque(PyObject* deque);
  bool OrderedDict(PyObject* dict);
  bool DefaultDict(PyObject* dict);
  bool Counter(PyObject* dict);
  bool Namespace(PyObject* object);

  // encode_stdlib.cc
  bool Members(PyObject* object, CloneKind kind, std::initializer_list<const char*> names);
  bool Moment(PyObject* object, CloneKind kind);
  bool Zone(PyObject* zone);
  bool TimeZone(PyObject* zone);
  bool Decimal(PyObject* number);
  bool Uuid(PyObject* uuid);
  bool Named(PyObject* object, CloneKind kind, const char* name);
  bool Pattern(PyObject* pattern);

  // encode_records.cc
  bool Global(PyObject* object);
  bool EnumMember(PyObject* object);
  bool Dataclass(PyObject* object);
  bool NamedTuple(PyObject* object);
  // Names and values of a dict whose keys are text.
  bool Attributes(PyObject* names);

  // encode_exception.cc
  bool Exception(PyObject* exception);
  bool ExceptionByClass(PyObject* exception);
  bool ExceptionByName(PyObject* exception);
  bool ExceptionDict(PyObject* attributes);
  bool ExceptionEnd(PyObject* exception, bool by_class);
  bool Traceback(PyObject* exception);

  // encode_arrays.cc
  bool Array(PyObject* array);
  bool MemoryView(PyObject* view);
  bool NumpyArray(PyObject* array);
  // Puts the bytes into the clone's buffers, and BUFFER into the clone. `owner` keeps them alive.
  bool Buffer(PyRef owner, const void* bytes, size_t size);
  bool Finish(CloneBytes* clone, size_t value_bytes);

  // An entry of the buffer table.
  struct TableEntry {
    PyRef owner = {};
    const void* bytes = nullptr;  // of an INLINE one, as is its owner
    size_t size = 0;
    CloneBufferSource source = CloneBufferSource::kInline;
    uint32_t index = 0;
    uint64_t offset = 0;
  };
  // Puts BUFFER into the clone and the entry into its table.
  bool Entry(TableEntry entry);

  // encode_handles.cc
  bool Handle(PyObject* object, const CloneHandleType& type);
  bool Descriptor(PyObject* owner, OpenDescriptor descriptor, TableEntry entry);

  // encoder.cc
  bool Room(size_t count) { return out_.room() >= count || MakeRoom(count); }
  bool MakeRoom(size_t count);
  bool Refuse(std::string problem);
  bool RefuseType(PyTypeObject* type);
  bool Changed();
  bool Exceeds(std::string problem);
  bool Raise();
  // Before Python code of anybody runs: what the walk knows by address must stay alive.
  void BeforePython() {
    memo_.Hold();
    for (TypeForm& form : forms_) form = {};
  }

  // A walk that may be taken back.
  struct Mark {
    size_t bytes;
    uint32_t numbers;
    size_t values;
    size_t buffers;
    size_t buffer_bytes;
    size_t descriptors;
    size_t contents;
  };
  Mark Here() const;
  bool GoBack(const Mark& mark);

  // One more level of values in values, while it lives.
  class Level {
   public:
    Level(CloneEncoder& encoder, bool has_values) : encoder_(encoder) {
      const size_t depth = ++encoder.depth_;
      if (depth % kLevelsPerStackCheck == 0 || depth >= encoder.limits_.depth) Check(has_values);
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() {
      --encoder_.depth_;
      if (is_counted_) Py_LeaveRecursiveCall();
    }
    bool is_too_deep() const { return is_too_deep_; }

   private:
    // How many levels use the C stack before CPython is asked whether there is enough of it.
    static constexpr size_t kLevelsPerStackCheck = 16;
    void Check(bool has_values);

    CloneEncoder& encoder_;
    bool is_too_deep_ = false;
    bool is_counted_ = false;
  };

  const CloneLimits limits_;
  CloneHandles* const handles_;  // null where the clone leaves the sandbox
  CloneTypes& types_;
  CloneBytes out_;
  CloneMemo memo_;
  // Of types met lately. A type lives as long as what was met of it, until Python code runs.
  static constexpr size_t kForms = 16;
  TypeForm forms_[kForms];
  std::vector<PyObject*> open_;  // tuples and frozensets that are being walked, borrowed
  KeyChecker keys_{types_, open_};
  size_t values_ = 0;
  size_t depth_ = 0;
  std::vector<TableEntry> buffers_;
  size_t buffer_bytes_ = 0;
  std::vector<PyRef> kept_;
  ClonePath path_;
  std::string problem_;
  bool problem_has_path_ = true;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_ENCODER_H_
