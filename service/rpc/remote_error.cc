#include "service/rpc/remote_error.h"

#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

// An Object of one of the two kinds (proto/CLONE.md) without its class: arguments, attributes,
// notes, cause, context, whether that is suppressed, frames.
v1::Value Describe(v1::Object::Kind kind, v1::Value type, const std::string& text,
                   const v1::Exception& exception) {
  v1::Value error;
  v1::Object& object = *error.mutable_object_value();
  object.set_kind(kind);
  *object.add_fields() = std::move(type);
  object.add_fields()->mutable_tuple_value()->add_items()->set_string_value(text);
  object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  if (exception.notes().empty()) {
    object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  } else {
    v1::Items& notes = *object.add_fields()->mutable_list_value();
    for (const std::string& note : exception.notes()) notes.add_items()->set_string_value(note);
  }
  for (int i = 0; i < 2; ++i) object.add_fields()->set_singleton(v1::SINGLETON_NONE);
  object.add_fields()->set_bool_value(false);
  v1::Items& frames = *object.add_fields()->mutable_list_value();
  for (const v1::Frame& frame : exception.frames()) {
    v1::Items& told = *frames.add_items()->mutable_tuple_value();
    told.add_items()->set_string_value(frame.file());
    told.add_items()->set_int_value(frame.line());
    told.add_items()->set_string_value(frame.function());
  }
  return error;
}

v1::Value Describe(const std::string& module, const std::string& name, const std::string& text,
                   const v1::Exception& exception) {
  v1::Value type;
  type.mutable_tuple_value()->add_items()->set_string_value(module);
  type.mutable_tuple_value()->add_items()->set_string_value(name);
  return Describe(v1::Object::KIND_REMOTE_ERROR, std::move(type), text, exception);
}

}  // namespace

v1::Value RemoteError(const std::string& text) {
  return Describe("cloister", "RemoteError", text, v1::Exception());
}

std::string CloneOfException(const v1::Exception& exception) {
  if (exception.module() == "builtins") {
    v1::Value type;
    type.mutable_object_value()->set_kind(v1::Object::KIND_GLOBAL);
    type.mutable_object_value()->add_fields()->set_string_value(exception.module());
    type.mutable_object_value()->add_fields()->set_string_value(exception.type());
    const auto clone = sandbox::CloneFromValue(
        Describe(v1::Object::KIND_EXCEPTION, std::move(type), exception.message(), exception),
        sandbox::kResultCloneLimits);
    if (clone.ok()) return *clone;
  }
  const auto clone = sandbox::CloneFromValue(
      Describe(exception.module(), exception.type(), exception.message(), exception),
      sandbox::kResultCloneLimits);
  // Its words were bounded when they came; where they still do not fit, that is said.
  return clone.ok() ? *clone
                    : *sandbox::CloneFromValue(RemoteError("an exception that cannot be described"),
                                               sandbox::kResultCloneLimits);
}

}  // namespace cloister::rpc
