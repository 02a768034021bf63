#include "sandbox/guest/shared/movable.h"

#include <memory>
#include <new>
#include <string>
#include <utility>

#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/shared/heap_type.h"
#include "sandbox/guest/shared/moved_copy.h"
#include "sandbox/guest/shared/offers.h"
#include "sandbox/guest/shared/shared_types.h"

namespace cloister::sandbox {
namespace {

// As proto/CLONE.md calls it.
constexpr char kRole[] = "moved";

MovableState& StateOf(PyObject* self) { return reinterpret_cast<Movable*>(self)->state; }

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"value", nullptr};
  PyObject* value;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "O:Movable", const_cast<char**>(keywords),
                                   &value)) {
    return nullptr;
  }
  if (!PyBytes_CheckExact(value) && !PyUnicode_CheckExact(value)) {
    PyErr_Format(PyExc_TypeError, "bytes and str can be moved, and not %s",
                 Py_TYPE(value)->tp_name);
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&StateOf(self)) MovableState(PyRef::Borrow(value));
  return self;
}

PyObject* Take(PyObject* self, PyObject*) {
  MovableState& state = StateOf(self);
  return state.CheckContent() ? state.Take().release() : nullptr;
}

PyObject* GetIsSole(PyObject* self, void*) {
  const MovableState& state = StateOf(self);
  return state.CheckContent() ? PyBool_FromLong(Py_REFCNT(state.content()) == 1 ? 1 : 0) : nullptr;
}

PyObject* GetClosed(PyObject* self, void*) {
  const MovableState& state = StateOf(self);
  return PyBool_FromLong(state.content() == nullptr && !state.is_leaving() ? 1 : 0);
}

PyObject* Repr(PyObject* self) {
  const MovableState& state = StateOf(self);
  const char* what = state.is_leaving()               ? "being transferred"
                     : state.was_handed_over()        ? "transferred"
                     : state.content() == nullptr     ? "taken"
                     : PyBytes_Check(state.content()) ? "bytes"
                                                      : "str";
  return PyUnicode_FromFormat("<cloister.Movable, %s>", what);
}

// ---- messages -----------------------------------------------------------------------------------

bool Owns(PyTypeObject* type) { return IsSharedClass(type, SharedClass::kMovable); }

PyObject* Content(PyObject* self, bool is_handed_over) {
  MovableState& state = StateOf(self);
  if (state.is_leaving() && !is_handed_over) return nullptr;
  if (is_handed_over && (state.offer() != 0 || state.MakeOffer())) return nullptr;
  return state.content();
}

bool Describe(PyObject* self, CloneHandle* handle, std::string* problem) {
  const MovableState& state = StateOf(self);
  if (state.offer() == 0 || !handle->is_handed_over) {
    *problem = state.is_leaving()        ? "Movable that is being transferred cannot be cloned"
               : state.was_handed_over() ? "Movable that was transferred cannot be cloned"
                                         : "Movable whose value was taken cannot be cloned";
    return false;
  }
  handle->name = kRole;
  handle->capacity = state.offer();
  handle->descriptors.push_back(state.ticket());
  return true;
}

PyRef Make(CloneHandle handle) {
  if (handle.descriptors.size() != 1) {
    RaiseDataCloneError("a message has an object that was not moved");
    return PyRef();
  }
  PyRef object = Offers::OfProcess().Take(handle.capacity);
  if (object || PyErr_Occurred() != nullptr) return object;
  return ReceiveMovedCopy(handle.descriptors.front()->get());
}

bool BeginHandover(PyObject* self) { return StateOf(self).BeginHandover(); }
void EndHandover(PyObject* self, bool was_sent) { StateOf(self).EndHandover(was_sent); }

// ---- type ---------------------------------------------------------------------------------------

PyMethodDef methods[] = {
    {"take", Take, METH_NOARGS, "The value, which it has no more from then on."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef properties[] = {
    {"is_sole", GetIsSole, nullptr, "Whether nobody else has the value.", nullptr},
    {"closed", GetClosed, nullptr, "Whether the value was taken or transferred.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
constexpr char kDocumentation[] =
    "Movable(value)\n--\n\n"
    "Holds a bytes or a str so that it can be handed over. Sent in a message and in its "
    "`transfer`, "
    "the receiver\ngets the value and this has it no more. Between interpreters of one process "
    "(profiles isolated and\nshared_gil) a large value that nobody else has (`is_sole`: drop your "
    "own names for it) moves without a copy,\nwhatever its size; all others are copied.";
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_tp_new, AsSlot(New)},
                       {Py_tp_dealloc, AsSlot(DeallocateWithState<Movable>)},
                       {Py_tp_traverse, AsSlot(TraverseType)},
                       {Py_tp_repr, AsSlot(Repr)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {0, nullptr}};

}  // namespace

bool MovableState::CheckContent() const {
  if (content_ && !is_leaving_) return true;
  if (is_leaving_) {
    PyErr_SetString(PyExc_BufferError, "Movable is being transferred");
  } else {
    PyErr_SetString(PyExc_ValueError, was_handed_over_ ? "Movable was transferred"
                                                       : "the value of this Movable was taken");
  }
  return false;
}

bool MovableState::BeginHandover() {
  if (!CheckContent()) return false;
  is_leaving_ = true;
  return true;
}

void MovableState::EndHandover(bool was_sent) {
  is_leaving_ = false;
  if (offer_ != 0 && was_sent) Offers::Sent();
  if (offer_ != 0 && !was_sent) content_ = Offers::OfProcess().TakeBack(offer_);
  offer_ = 0;
  ticket_ = nullptr;
  if (!was_sent) return;
  was_handed_over_ = true;
  content_.reset();
}

bool MovableState::MakeOffer() {
  Offers& offers = Offers::OfProcess();
  if (!content_ || !offers.CanMove(content_.get())) return false;
  UniqueFd ticket;
  offer_ = offers.Put(content_.get(), &ticket);
  if (offer_ == 0) return false;
  (void)content_.release();  // which has the only reference
  ticket_ = std::make_shared<const UniqueFd>(std::move(ticket));
  return true;
}

PyType_Spec movable_spec = {.name = "cloister.Movable",
                            .basicsize = sizeof(Movable),
                            .itemsize = 0,
                            .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                     Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MANAGED_WEAKREF,
                            .slots = slots};

const CloneHandleType movable_handles = {.kind = CloneKind::kPort,
                                         .role = kRole,
                                         .owns = Owns,
                                         .describe = Describe,
                                         .content = Content,
                                         .make = Make,
                                         .begin_handover = BeginHandover,
                                         .end_handover = EndHandover};

}  // namespace cloister::sandbox
